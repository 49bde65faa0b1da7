//! A terminal in which sections of the README are run as they are written, but for the ports.
#![allow(dead_code)] // No test needs all of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A block of a section of the README.
pub struct Block {
    /// What stands behind its fence, such as `sh`.
    pub language: String,
    pub text: String,
}

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The fenced blocks of a section of the README that name a language, in order.
pub fn blocks(section: &str) -> Vec<Block> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let from = readme.split_once(&format!("\n## {section}\n")).unwrap().1;
    let section = from.split("\n## ").next().unwrap();
    let fenced = section.split("```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (language, text) = block.split_once('\n').unwrap();
            Block {
                language: language.to_owned(),
                text: text.to_owned(),
            }
        })
        .collect()
}

/// What a command came to.
pub struct Done {
    pub status: i32,
    pub said: String,
    pub complaints: String,
}

/// A terminal in a folder of its own, with Centinel on its path; it stays in the folder into which a block went.
pub struct Terminal {
    pub folder: tempfile::TempDir,
    path: String,
    /// Of the databases' administrator.
    password: &'static str,
    /// Usual ports, and what stands for them here.
    ports: Vec<(&'static str, u16)>,
}

impl Terminal {
    pub fn new(password: &'static str, ports: Vec<(&'static str, u16)>) -> Terminal {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_centinel"), bin.join("centinel")).unwrap();
        Terminal {
            path: format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
            folder,
            password,
            ports,
        }
    }

    /// Puts a program on the path that runs this command line.
    pub fn install(&self, name: &str, command_line: &str) {
        let program = self.folder.path().join("bin").join(name);
        std::fs::write(&program, format!("#!/bin/sh\nexec {command_line} \"$@\"\n")).unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, executable).unwrap();
    }

    /// The text with the ports of here.
    pub fn with_ports(&self, text: &str) -> String {
        let ports = self.ports.iter();
        ports.fold(text.to_owned(), |text, (usual, port)| {
            text.replace(usual, &port.to_string())
        })
    }

    /// Where the terminal is.
    pub fn here(&self) -> PathBuf {
        match std::fs::read_to_string(self.folder.path().join("here")) {
            Ok(here) => here.trim_end().into(),
            Err(_) => self.folder.path().to_owned(),
        }
    }

    /// A shell that runs this.
    pub fn shell(&self, block: &str) -> Command {
        let mut shell = Command::new("bash");
        shell
            .args(["-e", "-u", "-o", "pipefail", "-c", &self.with_ports(block)])
            .current_dir(self.here())
            .env("PATH", &self.path)
            .env("MYSQL_PWD", self.password)
            .env("PAYMENT_DB_PASSWORD", "change me");
        shell
    }

    /// Runs a block to its end, whatever its status.
    pub fn done(&self, block: &str) -> Done {
        let block = format!("{block}\npwd > \"$HERE\"");
        let mut shell = self.shell(&block);
        shell.env("HERE", self.folder.path().join("here"));
        let done = shell.output().unwrap();
        Done {
            status: done.status.code().unwrap(),
            said: String::from_utf8_lossy(&done.stdout).into_owned(),
            complaints: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// Runs a block that must succeed.
    pub fn run(&self, block: &str) -> String {
        let done = self.done(block);
        let (said, complaints) = (done.said, done.complaints);
        assert_eq!(done.status, 0, "{block}\n{said}\n{complaints}");
        said
    }
}

/// Ends with the test, whatever its end.
pub struct Background(pub Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
