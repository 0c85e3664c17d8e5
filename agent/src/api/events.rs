//! The audit as it happens, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use tokio_stream::{Stream, wrappers::ReceiverStream};

use super::{Shared, reply::Reply};
use crate::engine::{Caller, problem};

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
    if caller.role != agent_api::Role::Operator {
        let text = "events are for operators";
        return Err(Reply(problem(agent_api::ProblemCode::Forbidden, text)));
    }
    let mut records = shared.engine.events();
    let mut stop = shared.detached.subscribe();
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    // Ends when the reader hangs up, falls behind, or the agent stops: an open stream must not
    // keep the agent from stopping.
    tokio::spawn(async move {
        loop {
            let record = tokio::select! {
                record = records.recv() => record,
                _ = stop.wait_for(|stop| *stop) => return,
                () = sender.closed() => return,
            };
            let Ok(record) = record else { return };
            let Ok(event) = Event::default()
                .id(record.seq.to_string())
                .json_data(record)
            else {
                return;
            };
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
    });
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(ALIVE)))
}
