//! `sekisho revoke`: returns when the kernel map is changed; the next packet is dropped.

use agent_api::{CloseRequest, Source};
use clap::Args;

use super::{
    Ask,
    print::{self, Output},
};

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["source", "user", "service", "all"])]
pub(super) struct Revoke {
    /// Everything that lets this address in, or everything held from this IPv6 /64
    #[arg(long)]
    source: Option<Source>,
    /// Everything of this person, from wherever
    #[arg(long)]
    user: Option<String>,
    /// Everything that is open to this service
    #[arg(long)]
    service: Option<String>,
    /// Everything
    #[arg(long, conflicts_with_all = ["source", "user", "service"])]
    all: bool,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
}

impl Revoke {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        let request = CloseRequest {
            source: self.source,
            service: self.service,
            user: self.user,
            all: self.all,
            reason: self.reason,
            request_id: None,
        };
        let closed = ask.client.close(&request).await?;
        if ask.output == Output::Json {
            return print::json(&closed);
        }
        if closed.count == 0 {
            print::line("nothing was open");
            return Ok(());
        }
        for holder in &closed.closed {
            let still = if holder.still_held {
                " (another person still holds it open)"
            } else {
                ""
            };
            let (user, source, service) = (&holder.user, holder.source, &holder.service);
            print::line(format!("closed: {user} from {source} to {service}{still}"));
        }
        let more = closed.count.saturating_sub(closed.closed.len() as u64);
        if more > 0 {
            print::line(format!("and {more} more"));
        }
        print::line(format!(
            "{} closed, map changed after {} µs",
            closed.count, closed.map_changed_after_us
        ));
        Ok(())
    }
}
