//! The filter on the services' own host, which opens and receives its own connections there.

use anyhow::Result;
use tests::{Rig, rig::Family, story};

#[test]
fn host_opens_and_shuts_over_ipv4() -> Result<()> {
    story::opens_and_shuts(&Rig::host()?, Family::V4)
}

#[test]
fn host_opens_and_shuts_over_ipv6() -> Result<()> {
    story::opens_and_shuts(&Rig::host()?, Family::V6)
}

#[test]
fn a_running_connection_to_the_host_is_cut_by_revocation() -> Result<()> {
    story::revocation_cuts_a_running_connection(&Rig::host()?, Family::V4)
}

#[test]
fn a_running_connection_to_the_host_is_cut_over_ipv6() -> Result<()> {
    story::revocation_cuts_a_running_connection(&Rig::host()?, Family::V6)
}

#[test]
fn a_host_that_filters_itself_fetches_from_a_host_it_is_shut_to() -> Result<()> {
    story::the_server_fetches_from_a_host_it_is_shut_to(&Rig::host()?, Family::V4)
}

#[test]
fn a_host_that_filters_itself_fetches_over_ipv6() -> Result<()> {
    story::the_server_fetches_from_a_host_it_is_shut_to(&Rig::host()?, Family::V6)
}

#[test]
fn a_host_keeps_its_filter_while_the_agent_comes_and_goes() -> Result<()> {
    story::the_agent_comes_and_goes(&Rig::host()?)
}
