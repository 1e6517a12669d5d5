//! Routes that are there twice: at the root, and under the protocol's own prefix.

use crate::Route;

/// The pairs, joined while compiling. `N` is twice their number.
pub(crate) const fn joined<H: Copy, const N: usize>(pairs: &[[Route<H>; 2]]) -> [Route<H>; N] {
    let mut routes = [pairs[0][0]; N];
    let mut at = 0;
    while at < N {
        routes[at] = pairs[at / 2][at % 2];
        at += 1;
    }
    routes
}

/// An endpoint that reads the store, as a handler of `$handler`'s type.
macro_rules! reads {
    ($handler:ty, $endpoint:path) => {{
        let handler: $handler =
            |state, call| Box::pin($crate::api::run_query(state, call, $endpoint));
        handler
    }};
}

/// An endpoint that reads no store, as a handler of `$handler`'s type.
macro_rules! knows {
    ($handler:ty, $endpoint:path) => {{
        let handler: $handler =
            |state, call| Box::pin($crate::api::run_here(state, call, $endpoint));
        handler
    }};
}

/// Makes two routes of a path: at the root and under the prefix. `$route` makes a route.
macro_rules! both {
    ($route:path, $methods:expr, $prefix:literal, $path:literal, $handler:expr, $about:expr) => {
        [
            $route($methods, $path, $handler, $about),
            $route($methods, concat!($prefix, $path), $handler, $about),
        ]
    };
}

pub(crate) use {both, knows, reads};
