//! System call instructions in a text that is not run now: are there any that set, or ask for, what the kernel keeps of a thread?
//!
//! It looks for the instruction's two bytes, and from there back for the number. Those bytes come by chance as well, in other
//! instructions' constants; but hardly ever behind such a number, or behind the move to r10 (the fourth argument) that a function for any
//! number makes. Of 3,093 libraries and programs of Debian and PyPI it finds those of glibc, tcmalloc, the sanitizers, Go's programs and
//! gprofng, and none by mistake.

use std::arch::x86_64::*;

/// rt_sigaction, rt_sigprocmask, sigaltstack, arch_prctl, gettid, tkill, tgkill.
const OF_A_THREAD: [u32; 7] = [13, 14, 131, 158, 186, 200, 234];

/// Asks whether a text seems to have such instructions. Called at the start for each library's text, which may have megabytes: sixteen
/// bytes are looked at in one step. False for a text of less than seventeen bytes.
pub fn sets_thread_state(code: &[u8]) -> bool {
    const AT_ONCE: usize = 16;
    let mut at = 0;
    while at + AT_ONCE < code.len() {
        // SAFETY: the text goes on for seventeen bytes; SSE2 is part of x86-64.
        let mut found = unsafe {
            let [first, second] = [0, 1].map(|next| _mm_loadu_si128(code.as_ptr().add(at + next) as *const __m128i));
            let (first, second) =
                (_mm_cmpeq_epi8(first, _mm_set1_epi8(0x0f)), _mm_cmpeq_epi8(second, _mm_set1_epi8(0x05)));
            _mm_movemask_epi8(_mm_and_si128(first, second)) as u32
        };
        while found != 0 {
            let place = at + found.trailing_zeros() as usize;
            if !is_distance(code, place) && is_of_a_thread(&code[..place]) {
                return true;
            }
            found &= found - 1;
        }
        at += AT_ONCE;
    }
    false
}

/// Are the two bytes part of the distance to what another instruction names? A zero follows then, as it does after none of 877
/// instructions (`has_calls` in runtime/trap/inline.rs), or `lea register, [rip + …]` stands before.
fn is_distance(code: &[u8], place: usize) -> bool {
    code[place + 2] == 0 || place >= 2 && code[place - 2] == 0x8d && code[place - 1] & 0xc7 == 0x05
}

/// Does what stands before an instruction give it such a number, or any?
fn is_of_a_thread(before: &[u8]) -> bool {
    /// How far back the number is looked for.
    const REACH: usize = 48;
    let before = &before[before.len().saturating_sub(REACH)..];
    match (0..before.len()).rev().find_map(|at| number_at(&before[at..])) {
        Some(number) => OF_A_THREAD.contains(&number),
        None => before.windows(3).any(|three| sets_r10([three[0], three[1], three[2]])),
    }
}

/// `mov eax, number` or `mov rax, number`.
fn number_at(code: &[u8]) -> Option<u32> {
    let constant = code.strip_prefix(&[0xb8]).or_else(|| code.strip_prefix(&[0x48, 0xc7, 0xc0]))?;
    let number = u32::from_le_bytes(constant.get(..4)?.try_into().ok()?);
    (number < 1 << 16).then_some(number)
}

/// `mov r10, …`, from a register or from memory.
fn sets_r10([prefix, operation, operands]: [u8; 3]) -> bool {
    match operation {
        0x89 => (prefix == 0x49 || prefix == 0x4d) && operands & 0xc7 == 0xc2,
        0x8b => prefix == 0x4c && operands & 0x38 == 0x10 && operands < 0xc0,
        _ => false,
    }
}
