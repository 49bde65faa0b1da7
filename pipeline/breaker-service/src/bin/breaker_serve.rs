//! The service alone, for tests and benches: `breaker_serve CONFIG.toml`, and
//! `breaker_serve CONFIG.toml first-admin NAME` with the password in `BREAKER_PASSWORD`.

use std::process::ExitCode;

use centinel_breaker_service::{Config, first_admin, serve};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("name a configuration file")?;
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    let config = Config::read(&text).map_err(|error| format!("{file}: {error}"))?;
    if arguments.next().as_deref() == Some("first-admin") {
        let name = arguments.next().ok_or("name the admin")?;
        let password = std::env::var("BREAKER_PASSWORD").map_err(|error| error.to_string())?;
        return first_admin(&config, &name, &password).map_err(|error| error.to_string());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let shutdown = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    runtime
        .block_on(serve(config, shutdown))
        .map_err(|error| error.to_string())
}
