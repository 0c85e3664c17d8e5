//! Waiting until no CPU still works with what was in force before.

/// membarrier(2), MEMBARRIER_CMD_GLOBAL: returns after an RCU grace period (`synchronize_rcu` in
/// kernel/sched/membarrier.c). Every run of an XDP program is one RCU reader, so afterwards no
/// packet is being judged by tables that were replaced before the call.
const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;

/// A kernel with isolated CPUs (nohz_full) has no such barrier; no packet takes this long.
const INSTEAD: std::time::Duration = std::time::Duration::from_millis(200);

pub(super) fn wait_for_readers() {
    // SAFETY: the call takes three integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result != 0 {
        std::thread::sleep(INSTEAD);
    }
}
