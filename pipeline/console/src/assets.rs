//! Style, scripts and charts, built in and served under names that change with their content.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("../assets/", $name)),
        }
    };
}

static ASSETS: &[Asset] = &[
    asset!("console.css", "text/css; charset=utf-8"),
    asset!("console.js", "text/javascript; charset=utf-8"),
    asset!("desk.css", "text/css; charset=utf-8"),
    asset!("desk.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("htmx.min.js", "text/javascript; charset=utf-8"),
    asset!("htmx-sse.min.js", "text/javascript; charset=utf-8"),
    asset!("uplot.min.js", "text/javascript; charset=utf-8"),
    asset!("uplot.min.css", "text/css; charset=utf-8"),
];

/// By the name under which they are served; and that name by their own.
struct Served {
    by_path: HashMap<String, &'static Asset>,
    paths: HashMap<&'static str, String>,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let mut served = Served {
        by_path: HashMap::new(),
        paths: HashMap::new(),
    };
    for asset in ASSETS {
        let digest: String = Sha256::digest(asset.bytes)[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (stem, ending) = asset.name.rsplit_once('.').unwrap_or((asset.name, ""));
        let name = format!("{stem}.{digest}.{ending}");
        served.paths.insert(asset.name, format!("/assets/{name}"));
        served.by_path.insert(name, asset);
    }
    served
});

/// The path of an asset by its name in the folder `assets`. One that is not there leads nowhere, which a test sees.
pub fn path(name: &str) -> &'static str {
    SERVED
        .paths
        .get(name)
        .map_or("/assets/none", String::as_str)
}

pub async fn serve(Path(name): Path<String>) -> Response {
    let Some(asset) = SERVED.by_path.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let head = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (head, asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_served_under_a_name_of_its_own() {
        for asset in ASSETS {
            assert!(path(asset.name).starts_with("/assets/") && path(asset.name) != "/assets/none");
            assert!(!asset.bytes.is_empty());
        }
        assert_eq!(SERVED.by_path.len(), ASSETS.len());
        assert_eq!(path("nothing.js"), "/assets/none");
    }
}
