// Layers of a graph, left to right.

/** The layer of each node: one more than the furthest of those that lead to it. Edges that close a loop are left out. */
export function layersOf(count: number, from: number[], to: number[]): number[] {
  const next: number[][] = Array.from({ length: count }, () => []);
  from.forEach((a, i) => a !== to[i] && next[a]!.push(to[i]!));
  const layers = new Array<number>(count).fill(0);
  const state = new Array<'new' | 'open' | 'done'>(count).fill('new');
  const order: number[] = [];
  const visit = (start: number) => {
    const stack = [{ node: start, at: 0 }];
    state[start] = 'open';
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const child = next[top.node]![top.at++];
      if (child === undefined) {
        state[top.node] = 'done';
        order.push(stack.pop()!.node);
      } else if (state[child] === 'open') next[top.node]!.splice(--top.at, 1);
      else if (state[child] === 'new') {
        state[child] = 'open';
        stack.push({ node: child, at: 0 });
      }
    }
  };
  const entered = new Set(next.flat());
  for (let i = 0; i < count; i += 1) if (!entered.has(i) && state[i] === 'new') visit(i);
  for (let i = 0; i < count; i += 1) if (state[i] === 'new') visit(i);
  for (const node of order.reverse()) for (const child of next[node]!) layers[child] = Math.max(layers[child]!, layers[node]! + 1);
  return layers;
}
