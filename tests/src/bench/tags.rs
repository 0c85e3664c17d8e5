//! VLAN tags on an interface, put on and taken off as a sub-interface of the kernel does it, also on
//! a kernel that has none. What does not carry exactly these tags is not let in.

use anyhow::Result;
use nix::net::if_::if_nametoindex;
use xtask::net::Namespace;

use super::{
    asm::{Asm, Helper, If, Op, R, Size},
    sys::{Attached, Hook, Program},
};

/// Answers of a classifier (include/uapi/linux/pkt_cls.h).
const UNSPECIFIED: i32 = -1;
const SHOT: i32 = 2;
/// Where `struct __sk_buff` says whether there is a tag, which, and of which kind
/// (include/uapi/linux/bpf.h).
const PRESENT: i16 = 20;
const ID: i16 = 24;
const KIND: i16 = 28;

/// One tag: its EtherType, and the number of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    pub kind: u16,
    pub id: u16,
}

impl Tag {
    /// As the kernel keeps it: in network byte order.
    fn kept(self) -> i32 {
        self.kind.to_be().into()
    }
}

/// An interface whose frames carry tags, for as long as this lives.
pub struct Tags {
    _links: [Attached; 2],
}

impl Tags {
    /// `tags` from the outermost on.
    pub fn on(namespace: &Namespace, interface: &str, tags: &[Tag]) -> Result<Self> {
        let links = namespace.inside(|| -> Result<_> {
            let index = if_nametoindex(interface)?;
            Ok([
                putting_on(tags)?.attach(index)?,
                taking_off(tags)?.attach(index)?,
            ])
        })??;
        Ok(Self { _links: links })
    }
}

fn putting_on(tags: &[Tag]) -> Result<Program> {
    let mut code = Asm::default().register(Op::Mov, R::R6, R::R1);
    for tag in tags.iter().rev() {
        code = code
            .register(Op::Mov, R::R1, R::R6)
            .number(Op::Mov, R::R2, tag.kept())
            .number(Op::Mov, R::R3, tag.id.into())
            .call(Helper::VlanPush)
            .jump_number(If::NotEqual, R::R0, 0, "shot");
    }
    finished(Hook::Out, code)
}

fn taking_off(tags: &[Tag]) -> Result<Program> {
    let mut code = Asm::default().register(Op::Mov, R::R6, R::R1);
    for tag in tags {
        code = code
            .load(Size::B4, R::R1, R::R6, PRESENT)
            .jump_number(If::Equal, R::R1, 0, "shot")
            .load(Size::B4, R::R1, R::R6, ID)
            .jump_number(If::NotEqual, R::R1, tag.id.into(), "shot")
            .load(Size::B4, R::R1, R::R6, KIND)
            .jump_number(If::NotEqual, R::R1, tag.kept(), "shot")
            .register(Op::Mov, R::R1, R::R6)
            .call(Helper::VlanPop)
            .jump_number(If::NotEqual, R::R0, 0, "shot");
    }
    finished(Hook::In, code)
}

fn finished(hook: Hook, code: Asm) -> Result<Program> {
    let code = code
        .number(Op::Mov, R::R0, UNSPECIFIED)
        .exit()
        .label("shot")
        .number(Op::Mov, R::R0, SHOT)
        .exit();
    Program::load_for(hook, &code.finish()?)
}
