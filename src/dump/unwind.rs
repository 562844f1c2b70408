//! The stack of a suspended thread, from where it stopped outward.
//!
//! Frame pointers are not needed: every step asks the call frame information of the module around the address (frames.rs).

use super::frames::Registers;
use super::modules::Modules;
use super::process::Process;
use super::table::Saved;

/// The most frames that are looked at.
pub const MOST_FRAMES: usize = 64;

/// Returns the return addresses on the stack of a thread that is suspended with this stack pointer, the innermost first. The walk ends at
/// the outermost frame, at one that there is no rule for, or after `MOST_FRAMES`.
pub fn walk<P: Process>(process: &P, modules: &mut Modules, sp: u64, saved: &Saved) -> Vec<u64> {
    let mut frames = Vec::new();
    let mut registers = Registers::saved(process, sp, saved);
    while let Some(now) = registers {
        let Some(pc) = now.pc() else { break };
        frames.push(pc);
        if frames.len() == MOST_FRAMES {
            break;
        }
        // The call stands before the address to which it returns.
        let unwinding = modules.unwinding(process, pc - 1);
        registers = unwinding.and_then(|unwinding| unwinding.step(process, &now, pc - 1));
    }
    frames
}
