import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFilters, writeFilters } from '../src/core/view';
import { href, parseRoute, route, writeRoute } from '../src/core/url';

test('a view is one URL, wherever the server is', () => {
  assert.deepEqual(parseRoute('/ui/', ''), { screen: 'home', q: {} });
  assert.deepEqual(parseRoute('/some/where/ui/traces', '?from=now-1h&sel=1~2'), { screen: 'traces', q: { from: 'now-1h', sel: '1~2' } });
  assert.equal(writeRoute({ screen: 'home', q: {} }), './');
  const written = writeRoute({ screen: 'logs', q: { q: 'a b&c', from: 'now-1h', empty: '' } });
  assert.equal(written, './logs?from=now-1h&q=a+b%26c');
  assert.deepEqual(parseRoute('/ui/logs', written.slice(written.indexOf('?'))).q, { from: 'now-1h', q: 'a b&c' });
});

test('window, filters and looks travel to other screens; the rest stays', () => {
  route.value = { screen: 'logs', q: { from: '1', to: '2', f: 'service:shop', lang: 'en', q: 'words', row: '7' } };
  assert.equal(href('traces', { sel: 'x' }), './traces?from=1&to=2&f=service%3Ashop&lang=en&sel=x');
});

test('filters with any text in them come back', () => {
  const list = [
    { key: 'service', value: 'shop' },
    { key: 'path', value: '/a:b,c%' },
  ];
  assert.deepEqual(parseFilters(writeFilters(list)), list);
  assert.deepEqual(parseFilters(''), []);
  assert.deepEqual(parseFilters('nothing,:x,y:'), []);
  assert.deepEqual(parseFilters('a:100%'), [{ key: 'a', value: '100%' }]);
});
