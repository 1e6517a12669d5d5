// The views that tests and pictures go through.
export const dragOver = async (page, selector, [x0, y0], [x1, y1]) => {
  const box = await page.locator(selector).first().boundingBox();
  await page.mouse.move(box.x + box.width * x0, box.y + box.height * y0);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * x1, box.y + box.height * y1, { steps: 8 });
  await page.mouse.up();
};

/** From five to one minutes ago, requests of some seconds. */
export const brushHitmap = (page) => dragOver(page, '.cols.traces .plot', [0.75, 0.45], [0.95, 0.85]);

/** The last twelve minutes of the lab's slow requests. */
export function explainSlow(now = Date.now()) {
  return `explain?f=service:caller&from=${now - 720_000}&to=${now}&q=${encodeURIComponent('{ duration >= 3000ms }')}`;
}

export const VIEWS = (made) => [
  { name: 'home', path: '' },
  { name: 'traces', path: 'traces' },
  { name: 'traces-brush', path: 'traces', act: brushHitmap },
  { name: 'traces-active', path: 'traces?view=active' },
  { name: 'trace', path: `trace?id=${made?.slowTrace}` },
  { name: 'trace-map', path: `trace?id=${made?.slowTrace}&view=map` },
  { name: 'trace-table', path: `trace?id=${made?.slowTrace}&view=table` },
  { name: 'services', path: 'services' },
  { name: 'services-drawer', path: 'services?drawer=service:caller' },
  { name: 'services-map', path: 'services?view=map' },
  { name: 'services-hitmaps', path: 'services?view=hitmap' },
  { name: 'logs', path: 'logs' },
  { name: 'logs-open', path: 'logs?q=level:warn%20slow', act: (page) => page.locator('.log').nth(2).click() },
  { name: 'logs-table', path: 'logs?view=table' },
  { name: 'logs-patterns', path: 'logs?view=patterns' },
  { name: 'logs-empty', path: 'logs?q=nobodysaysthis' },
  { name: 'metrics', path: 'metrics' },
  { name: 'metrics-one', path: 'metrics?m=traces_spanmetrics_latency&by=service' },
  { name: 'metrics-query', path: `metrics?tab=query&expr=${encodeURIComponent('sum by (service) (rate(traces_spanmetrics_calls_total[1m]))')}` },
  { name: 'metrics-wrong', path: 'metrics?tab=query&expr=sum(' },
  { name: 'explain', path: explainSlow() },
  { name: 'explain-table', path: explainSlow(), act: (page) => page.keyboard.press('Shift+V') },
  { name: 'explain-all', path: 'explain' },
  { name: 'explain-nothing', path: 'explain?from=1600000000000&to=1600000600000' },
  { name: 'explain-wrong', path: 'explain?q=%7B' },
  { name: 'alerts', path: 'alerts' },
  { name: 'alerts-rules', path: 'alerts?tab=rules' },
  { name: 'alerts-silences', path: 'alerts?tab=silences' },
  { name: 'admin', path: 'admin' },
  { name: 'admin-cardinality', path: 'admin?tab=cardinality' },
  { name: 'admin-server', path: 'admin?tab=server' },
  { name: 'admin-tokens', path: 'admin?tab=tokens' },
  { name: 'palette', path: 'traces', act: (page) => page.keyboard.press('Control+k') },
  { name: 'time', path: 'traces', act: (page) => page.keyboard.press('.') },
  { name: 'shortcuts', path: 'traces', act: (page) => page.keyboard.press('?') },
];
