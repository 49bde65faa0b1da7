//! One table of routes, and what each of them needs.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get};

use crate::role::Needs;
use crate::{Console, assets, guard, pages};

/// One route.
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// Who may.
    pub needs: Needs,
    /// Whether pages ask it by themselves, so that it does not keep a session from being idle.
    pub by_itself: bool,
    handler: fn() -> MethodRouter<Arc<Console>>,
}

/// A page to look at. `needs` may be [`Needs::Look`] or more.
pub const fn look(
    path: &'static str,
    needs: Needs,
    handler: fn() -> MethodRouter<Arc<Console>>,
) -> Route {
    Route {
        method: "GET",
        path,
        needs,
        by_itself: false,
        handler,
    }
}

/// The same for what pages ask by themselves.
pub const fn by_itself(path: &'static str, handler: fn() -> MethodRouter<Arc<Console>>) -> Route {
    Route {
        by_itself: true,
        ..look(path, Needs::Look, handler)
    }
}

/// Something that a form does.
pub const fn act(
    path: &'static str,
    needs: Needs,
    handler: fn() -> MethodRouter<Arc<Console>>,
) -> Route {
    Route {
        method: "POST",
        ..look(path, needs, handler)
    }
}

/// Every route there is, but those of assets.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    pages::ROUTES.iter().copied().flatten()
}

/// All of it.
pub fn router(console: &Arc<Console>) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let guarded =
            (route.handler)().layer(from_fn_with_state((console.clone(), route), guard::guard));
        router = router.route(route.path, guarded);
    }
    router
        .route("/assets/{name}", get(assets::serve))
        .fallback(guard::nowhere)
        .method_not_allowed_fallback(guard::nowhere)
        .layer(DefaultBodyLimit::max(guard::MOST_BODY))
        .layer(from_fn_with_state(console.clone(), guard::heads))
        .layer(from_fn(guard::in_time))
        .with_state(console.clone())
}
