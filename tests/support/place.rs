//! A folder with an empty library, which has the real one's mark only, in which programs are made on the spot for the command to judge.

use super::run::Scratch;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

pub const GREENPATCH: &str = env!("CARGO_BIN_EXE_greenpatch");
pub const MAIN: &str = "int main(void) { return 0; }";
/// The note that Go's linker leaves in every program.
pub const GO_NOTE: &str = r#"
    __asm__(".section .note.go.buildid,\"a\",@note\n.long 4,4,4\n.asciz \"Go\"\n.byte 0\n.long 0\n.text");"#;

/// A directory with an empty library, where programs can be made.
pub struct Place {
    scratch: Scratch,
    pub library: String,
}

impl Place {
    pub fn new() -> Self {
        let mut place = Self { scratch: Scratch::new(), library: String::new() };
        place.library = place.compile("libempty.so", "char greenpatch_figures[8];", &["-shared"]);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    pub fn file(&self, name: &str, mode: u32, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), bytes).expect("a file can be written");
        self.change_mode(name, mode);
        self.path(name).display().to_string()
    }

    pub fn change_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("its mode can be set");
    }

    pub fn compile(&self, name: &str, source: &str, flags: &[&str]) -> String {
        let source = self.file("source.c", 0o644, source);
        let program = self.path(name).display().to_string();
        let status = Command::new("cc").args(["-o", &program, &source]).args(flags).status().expect("cc is installed");
        assert!(status.success(), "cc {flags:?} failed");
        program
    }

    /// The first 64 bytes of a program for another machine.
    pub fn header(&self, name: &str, class: u8, order: u8, machine: u16) -> String {
        let mut header = [0; 64];
        header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1]);
        let half = if order == 2 { u16::to_be_bytes } else { u16::to_le_bytes };
        header[16..18].copy_from_slice(&half(2));
        header[18..20].copy_from_slice(&half(machine));
        self.file(name, 0o755, header)
    }

    /// `greenpatch WORDS…`, with the empty library.
    pub fn greenpatch(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("greenpatch starts")
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(GREENPATCH);
        command
            .args(words)
            .env("GREENPATCH_LIB", &self.library)
            .env_remove("LD_PRELOAD")
            .env_remove("GREENPATCH_OPTIONS");
        command
    }

    /// `greenpatch run` fails with this status and a sentence that has these words in it.
    pub fn refuses(&self, words: &[&str], status: i32, sentence: &[&str]) {
        let output = self.greenpatch(&[&["run"], words].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {error}");
        assert!(output.stdout.is_empty(), "{words:?} printed on stdout");
        for part in sentence {
            assert!(error.contains(part), "{words:?}: “{part}” is missing from: {error}");
        }
    }
}

/// What a program that succeeded printed.
pub fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
