//! The OpenAPI 3.1 document, made from the routes themselves.

use aide::{
    axum::ApiRouter,
    generate::in_context,
    openapi::{Info, License, OpenApi, SecurityScheme, Server},
    transform::TransformOpenApi,
};
use axum::{
    Router,
    http::header,
    response::IntoResponse as _,
    routing::{MethodRouter, get},
};
use schemars::generate::SchemaSettings;

use super::{Api, caller::SCHEME};

/// The routes as axum serves them, and their document.
pub(super) fn documented(routes: ApiRouter<Api>) -> (Router<Api>, OpenApi) {
    let mut document = OpenApi {
        info: Info {
            title: "Deskmesh".into(),
            description: Some(
                "Jobs, tasks, artifacts, logs and nodes of one cluster. Every error is an RFC 9457 \
                 problem with a stable `code`."
                    .into(),
            ),
            version: env!("CARGO_PKG_VERSION").into(),
            license: Some(License {
                name: "Apache-2.0".into(),
                identifier: Some("Apache-2.0".into()),
                url: None,
                extensions: Default::default(),
            }),
            ..Info::default()
        },
        servers: vec![Server { url: "/".into(), ..Server::default() }],
        ..OpenApi::default()
    };
    let router = routes.finish_api_with(&mut document, describe);
    (router, document)
}

/// Makes the schemas those of JSON Schema 2020-12, as OpenAPI 3.1 wants. aide keeps its generator in a
/// thread-local that it resets after each document, so this comes before the first route.
pub(super) fn begin() {
    in_context(|context| {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "#/components/schemas/".into());
        context.schema = settings.into_generator();
    });
}

fn describe(api: TransformOpenApi<'_>) -> TransformOpenApi<'_> {
    api.security_scheme(
        SCHEME,
        SecurityScheme::Http {
            scheme: "bearer".into(),
            bearer_format: Some("dmk_…".into()),
            description: Some("A token. Its scope is read, submit or admin.".into()),
            extensions: Default::default(),
        },
    )
}

/// The document as text, keys sorted, so that it does not depend on features of other crates.
pub(super) fn text(document: &OpenApi) -> String {
    let mut value = serde_json::to_value(document).unwrap_or_default();
    value.sort_all_objects();
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// Serves the document; it holds no secret, so no token is asked for.
pub(super) fn route(document: &OpenApi) -> MethodRouter<Api> {
    let text = bytes::Bytes::from(text(document));
    get(move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text).into_response() }
    })
}
