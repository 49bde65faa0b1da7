//! A real browser, driven as the WebDriver standard says.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::installed;

const AXE: &str = "axe-core-4.14.1/axe.min.js";

/// Chromium, which ends when this is dropped.
pub struct Browser {
    driver: Driver,
    session: String,
    client: reqwest::Client,
    axe: String,
    pictures: PathBuf,
    _profile: tempfile::TempDir,
}

/// What drives the browser, the leader of a process group in which the browser is as well: both end when this is dropped,
/// however the test ends.
struct Driver(Child);

impl Driver {
    fn start() -> Driver {
        let mut command = Command::new(installed::program("chromedriver"));
        command
            .args(["--port=0", "--log-level=WARNING"])
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Driver(command.spawn().expect("chromedriver is a program"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Where pictures are put, to be looked at, in the folder that a test may write to.
pub fn screenshots(scratch: &str) -> PathBuf {
    let folder = Path::new(scratch).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn axe() -> String {
    let path = installed::cache().join(AXE);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}. {}", path.display(), installed::REMEDY))
}

impl Browser {
    /// Starts one; its pictures go into the folder of [`screenshots`]. `scratch` is the `CARGO_TARGET_TMPDIR` of the test.
    pub async fn start(scratch: &str) -> Browser {
        let mut driver = Driver::start();
        let mut lines = BufReader::new(driver.0.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines
                .next()
                .expect("chromedriver says on which port")
                .unwrap();
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let profile = tempfile::tempdir().unwrap();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        let mut browser = Browser {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            client,
            axe: axe(),
            pictures: screenshots(scratch),
            _profile: profile,
        };
        let arguments = [
            "--headless=new".to_owned(),
            // Tests may run as root, where the sandbox cannot.
            "--no-sandbox".into(),
            "--disable-dev-shm-usage".into(),
            "--disable-gpu".into(),
            "--force-device-scale-factor=1".into(),
            "--lang=en".into(),
            format!("--user-data-dir={}", browser._profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let begun = browser.call("", wanted).await;
        let id = begun["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no browser began: {begun}"));
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    async fn call(&self, path: &str, body: Value) -> Value {
        let request = match body.is_null() {
            true => self.client.get(format!("{}{path}", self.session)),
            false => self
                .client
                .post(format!("{}{path}", self.session))
                .body(body.to_string()),
        };
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(
            answer["value"]["error"].is_null(),
            "{path}: {}",
            answer["value"]["message"]
        );
        answer["value"].clone()
    }

    /// Lets the browser end by itself, which leaves nothing of it on the disk.
    pub async fn end(self) {
        let _ = self.client.delete(&self.session).send().await;
    }

    /// The process group of everything that belongs to it.
    pub fn group(&self) -> u32 {
        self.driver.0.id()
    }

    /// Opens an address.
    pub async fn go(&self, url: &str) {
        self.call("/url", json!({"url": url})).await;
    }

    /// Runs a script in the page, and gives what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.call("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// Where it is.
    pub async fn address(&self) -> String {
        self.call("/url", Value::Null)
            .await
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.call(
            "/goog/cdp/execute",
            json!({"cmd": command, "params": parameters}),
        )
        .await
    }

    /// Makes the window so large; a narrow one is a phone.
    pub async fn size(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    async fn find(&self, selector: &str) -> String {
        let found = self
            .call(
                "/element",
                json!({"using": "css selector", "value": selector}),
            )
            .await;
        found
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Clicks as a person does: what is not to be seen, or is covered, cannot be clicked.
    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.call(&format!("/element/{element}/click"), json!({}))
            .await;
    }

    /// Writes into a field, in the place of what stands there.
    pub async fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.call(&format!("/element/{element}/clear"), json!({}))
            .await;
        self.call(&format!("/element/{element}/value"), json!({"text": text}))
            .await;
    }

    /// What is seen of an element.
    pub async fn text(&self, selector: &str) -> String {
        let element = self.find(selector).await;
        self.call(&format!("/element/{element}/text"), Value::Null)
            .await
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until an expression of the page is true, at most 20 seconds.
    pub async fn until(&self, expression: &str) {
        for _ in 0..200 {
            if self.run(&format!("return Boolean({expression})")).await == json!(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let text = self.run("return document.body.innerText").await;
        panic!("{expression} at {}: {text}", self.address().await);
    }

    /// What the page complained of since the last look.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.call("/se/log", json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        let bad =
            entries.filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|entry| entry["message"].to_string()).collect()
    }

    /// What keeps people from using the page: serious and critical faults.
    pub async fn barriers(&self) -> Vec<String> {
        self.run(&self.axe).await;
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then((told) => done(told.violations.map((fault) => ({
              id: fault.id, impact: fault.impact, where: fault.nodes.map((node) => node.html + ' ' + node.failureSummary) }))),
              (error) => done([{ id: String(error), impact: 'critical', where: [] }]))";
        let told = self
            .call("/execute/async", json!({"script": script, "args": []}))
            .await;
        let faults = told.as_array().unwrap().iter();
        let serious =
            faults.filter(|fault| matches!(fault["impact"].as_str(), Some("serious" | "critical")));
        serious.map(|fault| format!("{fault:#}")).collect()
    }

    /// The whole page as a picture.
    pub async fn picture(&self, name: &str) {
        self.capture(name, true).await;
    }

    /// What one sees of it without scrolling.
    pub async fn glimpse(&self, name: &str) {
        self.capture(name, false).await;
    }

    async fn capture(&self, name: &str, whole: bool) {
        let parameters = json!({"format": "png", "captureBeyondViewport": whole});
        let picture = self.devtools("Page.captureScreenshot", parameters).await;
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(self.pictures.join(format!("{name}.png")), bytes).unwrap();
    }
}
