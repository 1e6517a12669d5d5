//! A generated gRPC service whose method streams, served by axum's router over a real connection:
//! the way on which the query services of Tempo and Jaeger can be served.

#[allow(clippy::all, unused_qualifications, unreachable_pub, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/wire.test.rs"));
}

use generated::counter_client::CounterClient;
use generated::counter_server::{Counter, CounterServer};
use generated::{Count, CountRequest};
use std::pin::Pin;
use tonic::codegen::tokio_stream::{Stream, StreamExt, iter};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

struct UpTo {
    limit: u32,
}

#[tonic::async_trait]
impl Counter for UpTo {
    async fn last(&self, request: Request<CountRequest>) -> Result<Response<Count>, Status> {
        let below = request.into_inner().below;
        let last = below.checked_sub(1).ok_or_else(|| Status::not_found("nothing is below 0"))?;
        Ok(Response::new(Count { value: last }))
    }

    type EachStream = Pin<Box<dyn Stream<Item = Result<Count, Status>> + Send>>;

    /// Ends in an error when `limit` is reached, in the middle of the stream.
    async fn each(
        &self,
        request: Request<CountRequest>,
    ) -> Result<Response<Self::EachStream>, Status> {
        let limit = self.limit;
        let counts = (0..request.into_inner().below).map(move |value| match value < limit {
            true => Ok(Count { value }),
            false => Err(Status::resource_exhausted("that is too far")),
        });
        Ok(Response::new(Box::pin(iter(counts))))
    }
}

/// A client of a server that counts up to `limit`, on a free port of the loopback interface.
async fn client_of(limit: u32) -> CounterClient<Channel> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = CounterServer::new(UpTo { limit });
    let router = tonic::service::Routes::new(service).into_axum_router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    CounterClient::new(endpoint.connect().await.unwrap())
}

fn values(range: std::ops::Range<u32>) -> Vec<Count> {
    range.map(|value| Count { value }).collect()
}

#[tokio::test]
async fn a_generated_service_streams_its_answers() {
    let mut client = client_of(u32::MAX).await;
    let answers = client.each(CountRequest { below: 1_000 }).await.unwrap().into_inner();
    let answers: Result<Vec<_>, _> = answers.collect().await;
    assert_eq!(answers.unwrap(), values(0..1_000));
    let last = client.last(CountRequest { below: 5 }).await.unwrap().into_inner();
    assert_eq!(last, Count { value: 4 });
    let error = client.last(CountRequest { below: 0 }).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn an_error_ends_the_stream_after_what_was_answered() {
    let mut client = client_of(3).await;
    let mut answers = client.each(CountRequest { below: 9 }).await.unwrap().into_inner();
    for expected in values(0..3) {
        assert_eq!(answers.message().await.unwrap(), Some(expected));
    }
    assert_eq!(answers.message().await.unwrap_err().code(), Code::ResourceExhausted);
}
