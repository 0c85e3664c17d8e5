//! The audit as it happens, and samples of what is dropped, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use serde::Serialize;
use tokio::sync::broadcast;
use tokio_stream::{Stream, wrappers::ReceiverStream};

use super::{Shared, handlers::operator, reply::Reply};
use crate::engine::Caller;

/// How often a silent stream shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// Every audit record from now on: `id` is its number, `data` the record. A
/// reader that falls too far behind is cut off and reads the gap from `/v1/audit?after=`.
#[utoipa::path(get, path = "/v1/events",
    responses((status = 200, body = agent_api::AuditRecord, content_type = "text/event-stream"),
        (status = 403, body = agent_api::Problem)))]
pub(super) async fn events(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Reply> {
    operator(&caller)?;
    let records = shared.engine.events();
    Ok(stream(&shared, records, |record| record.seq.to_string()))
}

/// Samples of dropped packets from now on. A reader that falls behind is cut off.
#[utoipa::path(get, path = "/v1/drops/events",
    responses((status = 200, body = agent_api::DroppedPacket, content_type = "text/event-stream"),
        (status = 403, body = agent_api::Problem)))]
pub(super) async fn drops(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Reply> {
    operator(&caller)?;
    let packets = shared.drops.follow();
    Ok(stream(&shared, packets, |packet| packet.at.to_string()))
}

/// Ends when the reader hangs up, falls behind, or the agent stops: an open stream must not keep
/// the agent from stopping.
fn stream<T, I>(
    shared: &Shared,
    mut items: broadcast::Receiver<T>,
    id: I,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<T, I>>
where
    T: Clone + Send + Serialize + 'static,
    I: Fn(&T) -> String + Send + 'static,
{
    let mut stop = shared.detached.subscribe();
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let item = tokio::select! {
                item = items.recv() => item,
                _ = stop.wait_for(|stop| *stop) => return,
                () = sender.closed() => return,
            };
            let Ok(item) = item else { return };
            let Ok(event) = Event::default().id(id(&item)).json_data(item) else {
                return;
            };
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
    });
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(ALIVE))
}
