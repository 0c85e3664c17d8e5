//! What the kernel says is attached to an interface: rtnetlink, one request, one answer.

use std::io;

use agent_api::XdpMode;
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Running {
    /// None: offloaded to the card, or several programs in different modes.
    pub(super) mode: Option<XdpMode>,
    pub(super) program_id: u32,
}

/// None: no XDP program there.
pub(super) fn running(index: u32) -> io::Result<Option<Running>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    let mut request = LinkMessage::default();
    request.header.index = index;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(
        header,
        NetlinkPayload::from(RouteNetlinkMessage::GetLink(request)),
    );
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
    let (reply, _) = socket.recv_from_full()?;
    let reply = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&reply)
        .map_err(|error| io::Error::other(error.to_string()))?;
    match reply.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => Ok(xdp_of(&link)),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::other(
            "the kernel answered something else than a link",
        )),
    }
}

fn xdp_of(link: &LinkMessage) -> Option<Running> {
    let xdp = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Xdp(xdp) => Some(xdp),
            _ => None,
        })?;
    let mode = xdp.iter().find_map(|part| match part {
        LinkXdp::Attached(XdpAttached::Driver) => Some(Some(XdpMode::Native)),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(Some(XdpMode::Generic)),
        LinkXdp::Attached(XdpAttached::None) => None,
        LinkXdp::Attached(_) => Some(None),
        _ => None,
    })?;
    let program_id = xdp.iter().find_map(|part| match part {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    });
    Some(Running {
        mode,
        program_id: program_id.unwrap_or(0),
    })
}
