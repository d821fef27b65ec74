//! Server-sent events: answers that go on, ended by the server's shutdown or by the caller.

use std::{convert::Infallible, time::Duration};

use aide::{
    OperationOutput,
    generate::GenContext,
    openapi::{
        self, HeaderStyle, Operation, Parameter, ParameterData, ParameterSchemaOrContent,
        SchemaObject,
    },
    operation::add_parameters,
};
use axum::response::{
    IntoResponse, Response, Sse,
    sse::{Event, KeepAlive},
};
use futures::{Stream, StreamExt as _};
use mesh_schemas::Problem;
use serde::Serialize;

use super::{limits::Permit, observe::Waited, serve::Shutdown, text::described};

/// How often a comment is sent when there is nothing to say, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An answer of content type `text/event-stream`.
#[derive(Debug)]
pub(super) struct EventStream(Response);

impl EventStream {
    /// Sends what the stream yields until it ends or the server stops; `permit` is held as long.
    pub(super) fn new(
        events: impl Stream<Item = Event> + Send + 'static,
        permit: Permit,
        shutdown: Shutdown,
    ) -> Self {
        let events = events.take_until(async move { shutdown.wait().await }).map(move |event| {
            let _held = &permit;
            Ok::<_, Infallible>(event)
        });
        let mut response =
            Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
        response.extensions_mut().insert(Waited);
        Self(response)
    }
}

/// An event with a JSON body on one line.
pub(super) fn event(name: &str, body: &impl Serialize) -> Event {
    let data = serde_json::to_string(body).unwrap_or_default();
    Event::default().event(name).data(data)
}

/// The last event of a stream that cannot go on.
pub(super) fn problem_event(problem: &Problem) -> Event {
    event("error", problem)
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        self.0
    }
}

impl OperationOutput for EventStream {
    type Inner = String;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<openapi::Response> {
        let about = "Server-sent events; see the description of the operation.";
        Some(described(ctx, "text/event-stream", about))
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, openapi::Response)> {
        let response = Self::operation_response(ctx, operation);
        response.map(|response| (Some(200), response)).into_iter().collect()
    }
}

/// Describes an optional header in the OpenAPI document.
pub(super) fn header_parameter(
    ctx: &mut GenContext,
    operation: &mut Operation,
    name: &str,
    about: &str,
) {
    let schema = SchemaObject {
        json_schema: ctx.schema.subschema_for::<String>(),
        example: None,
        external_docs: None,
    };
    let parameter_data = ParameterData {
        name: name.to_owned(),
        description: Some(about.to_owned()),
        required: false,
        deprecated: None,
        format: ParameterSchemaOrContent::Schema(schema),
        example: None,
        examples: Default::default(),
        explode: None,
        extensions: Default::default(),
    };
    let header = Parameter::Header { parameter_data, style: HeaderStyle::Simple };
    add_parameters(ctx, operation, [header]);
}
