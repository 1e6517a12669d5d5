// Pushes one series with the npm package `prometheus-remote-write`: remote_write.mjs URL TIME_MS
import { pushTimeseries } from "prometheus-remote-write";

const [url, time] = process.argv.slice(2);
const result = await pushTimeseries(
  {
    labels: { __name__: "queue_depth", service: "우편" },
    samples: [
      { value: 150, timestamp: Number(time) - 15000 },
      { value: 151.5, timestamp: Number(time) },
    ],
  },
  { url, fetch },
);
if (result.status < 200 || result.status > 299) {
  console.error(result);
  process.exit(1);
}
