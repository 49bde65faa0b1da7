//! A real S3 server (S3Proxy over a folder): checks signatures, lists, writes under conditions.

use std::fs;

use crate::folder::Folder;
use crate::installed;
use crate::port::Port;
use crate::process::{NotStarted, Server};

const ATTEMPTS: usize = 5;
const ACCESS_KEY: &str = "centinel-access-key";
const SECRET_KEY: &str = "centinel-secret-key";
const LOG_SETTINGS: &str = include_str!("../s3/logback.xml");

/// An S3 server of its own, over HTTP, with path-style addresses; any region will do.
pub struct S3 {
    // In this order: the process ends before its folder goes and its port is free.
    server: Server,
    folder: Folder,
    port: Port,
}

impl S3 {
    /// Starts a server without buckets.
    pub fn start() -> S3 {
        let folder = Folder::new("s3");
        fs::create_dir(folder.join("buckets")).unwrap();
        let log_settings = folder.write("logback.xml", LOG_SETTINGS);
        for _ in 0..ATTEMPTS {
            let port = Port::free();
            let settings = folder.write(
                "s3proxy.properties",
                &format!(
                    "s3proxy.endpoint=http://127.0.0.1:{}\n\
                     s3proxy.authorization=aws-v4\n\
                     s3proxy.identity={ACCESS_KEY}\n\
                     s3proxy.credential={SECRET_KEY}\n\
                     jclouds.provider=filesystem-nio2\n\
                     jclouds.filesystem.basedir={}\n",
                    port.number,
                    folder.join("buckets").display()
                ),
            );
            let mut server = Server {
                name: "S3Proxy",
                program: installed::program("java"),
                arguments: vec![
                    "-XX:+UseSerialGC".to_owned(),
                    "-XX:TieredStopAtLevel=1".to_owned(),
                    "-Xmx256m".to_owned(),
                    format!("-Dlogback.configurationFile={}", log_settings.display()),
                    "-cp".to_owned(),
                    installed::jars("s3", include_str!("../s3/pom.xml")),
                    "org.gaul.s3proxy.Main".to_owned(),
                    "--properties".to_owned(),
                    settings.display().to_string(),
                ],
                log: folder.join("log"),
                ready: "ServerConnector@",
                child: None,
            };
            match server.start() {
                Ok(()) => {
                    return S3 {
                        server,
                        folder,
                        port,
                    };
                }
                Err(NotStarted::PortTaken) => {}
                Err(NotStarted::Other(why)) => panic!("{why}"),
            }
        }
        panic!("S3Proxy found every of {ATTEMPTS} ports taken");
    }

    /// `http://127.0.0.1:port`, the same after `start_again`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The TCP port at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Who signs.
    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    /// With what it is signed.
    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// Creates a bucket.
    pub fn create_bucket(&self, name: &str) {
        // The server keeps a bucket as a folder, and looks at each request.
        fs::create_dir(self.folder.join("buckets").join(name))
            .unwrap_or_else(|error| panic!("cannot create bucket {name}: {error}"));
    }

    /// The files in which the server keeps a bucket's objects, by name.
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        let bucket = self.folder.join("buckets").join(bucket);
        let (mut found, mut folders) = (Vec::new(), vec![bucket.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&bucket).unwrap();
                found.push(name.display().to_string());
            }
        }
        found.sort();
        found
    }

    /// Stops the server (SIGTERM) and waits for its end.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Kills the server (SIGKILL).
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts the stopped or killed server on the same port and data.
    pub fn start_again(&mut self) {
        self.server.start_again();
    }
}
