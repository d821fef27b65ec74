//! Answers that are text of some media type.

use aide::{
    OperationOutput,
    generate::GenContext,
    openapi::{self, Operation, SchemaObject},
};
use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// A text with its media type.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) media_type: &'static str,
    pub(super) body: String,
}

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, self.media_type)], self.body).into_response()
    }
}

impl OperationOutput for Text {
    type Inner = String;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<openapi::Response> {
        Some(described(ctx, "text/plain", "Text."))
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, openapi::Response)> {
        let response = Self::operation_response(ctx, operation);
        response.map(|response| (Some(200), response)).into_iter().collect()
    }
}

/// A response whose body is a string.
pub(super) fn described(
    ctx: &mut GenContext,
    media_type: &str,
    description: &str,
) -> openapi::Response {
    let schema = SchemaObject {
        json_schema: ctx.schema.subschema_for::<String>(),
        example: None,
        external_docs: None,
    };
    let media = openapi::MediaType { schema: Some(schema), ..Default::default() };
    openapi::Response {
        description: description.to_owned(),
        content: std::iter::once((media_type.to_owned(), media)).collect(),
        ..Default::default()
    }
}
