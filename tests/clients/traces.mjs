// Sends a trace of two spans with a client that its makers publish, and prints the trace's id.
//
//     traces.mjs CLIENT ADDRESS [ADDRESS OF JAEGER'S DATAGRAMS]

import { createRequire } from 'node:module';

const [client, address, agent] = process.argv.slice(2);
const require = createRequire(import.meta.url);

async function opentelemetry(exporter) {
  const { BasicTracerProvider, SimpleSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const { SpanKind, SpanStatusCode, context, trace } = await import('@opentelemetry/api');
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'clients', 'host.name': '제주' }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer('lib', '1.0');
  const root = tracer.startSpan(`by ${client}`, { kind: SpanKind.SERVER, attributes: { number: 7 } });
  const within = trace.setSpan(context.active(), root);
  const child = tracer.startSpan('child', { kind: SpanKind.CLIENT }, within);
  child.addEvent('retry', { attempt: 2 });
  child.setStatus({ code: SpanStatusCode.ERROR, message: 'refused' });
  child.end();
  root.end();
  await provider.forceFlush();
  await provider.shutdown();
  return root.spanContext().traceId;
}

const clients = {
  async otlp_json() {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
    return opentelemetry(new OTLPTraceExporter({ url: `http://${address}/v1/traces` }));
  },
  async otlp_protobuf() {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
    const url = `http://${address}/v1/traces`;
    return opentelemetry(new OTLPTraceExporter({ url, compression: 'gzip' }));
  },
  async otlp_grpc() {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc');
    return opentelemetry(new OTLPTraceExporter({ url: `http://${address}` }));
  },
  async otel_zipkin() {
    const { ZipkinExporter } = await import('@opentelemetry/exporter-zipkin');
    return opentelemetry(new ZipkinExporter({ url: `http://${address}/zipkin/api/v2/spans` }));
  },
  async zipkin() {
    const { BatchRecorder, ExplicitContext, Tracer, jsonEncoder } = require('zipkin');
    const { HttpLogger } = require('zipkin-transport-http');
    const logger = new HttpLogger({
      endpoint: `http://${address}/zipkin/api/v2/spans`,
      jsonEncoder: jsonEncoder.JSON_V2,
      httpInterval: 100,
    });
    const recorder = new BatchRecorder({ logger });
    const ctxImpl = new ExplicitContext();
    const tracer = new Tracer({ ctxImpl, recorder, localServiceName: 'clients', traceId128Bit: true });
    const { Annotation } = require('zipkin');
    const root = tracer.createRootId();
    tracer.scoped(() => {
      tracer.setId(root);
      tracer.recordServiceName('clients');
      tracer.recordRpc(`by ${client}`);
      tracer.recordBinary('number', '7');
      tracer.recordAnnotation(new Annotation.ServerRecv());
      tracer.letId(tracer.createChildId(), () => {
        tracer.recordServiceName('clients');
        tracer.recordRpc('child');
        tracer.recordAnnotation(new Annotation.ClientSend());
        tracer.recordMessage('retry');
        tracer.recordBinary('error', 'refused');
        tracer.recordAnnotation(new Annotation.ClientRecv());
      });
      tracer.recordAnnotation(new Annotation.ServerSend());
    });
    await new Promise((resolve, reject) => {
      logger.on('success', resolve);
      logger.on('error', reject);
    });
    return root.traceId;
  },
  async jaeger_udp() {
    const [agentHost, agentPort] = agent.split(':');
    return jaeger({ agentHost, agentPort: Number(agentPort) });
  },
  async jaeger_http() {
    return jaeger({ collectorEndpoint: `http://${address}/jaeger/api/traces` });
  },
};

async function jaeger(reporter) {
  const { initTracer } = require('jaeger-client');
  const sampler = { type: 'const', param: 1 };
  const tracer = initTracer({ serviceName: 'clients', sampler, reporter, traceId128bit: true });
  const root = tracer.startSpan(`by ${client}`, { tags: { 'span.kind': 'server', number: 7 } });
  const child = tracer.startSpan('child', { childOf: root });
  child.setTag('span.kind', 'client').setTag('error', true).log({ event: 'retry', attempt: 2 });
  child.finish();
  root.finish();
  await new Promise((resolve) => tracer.close(resolve));
  return root.context().traceIdStr.padStart(32, '0');
}

// Some clients let the process end while they send.
setInterval(() => {}, 1_000);
console.log(await clients[client]());
process.exit(0);
