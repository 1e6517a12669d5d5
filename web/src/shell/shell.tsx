// The page around a screen: rail, top bar, horizon, and what lies above.
import { Component, type ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Layers, Toasts } from '../core/overlays';
import { Empty, Skeleton } from '../core/parts';
import { go, href, route } from '../core/url';
import { Drawer } from './drawer';
import { Horizon } from './horizon';
import { countFiring, firingKey } from './horizon-data';
import { FIRST, modules, placeOf } from './nav';
import { Rail } from './rail';
import { TokenPrompt } from './token';
import { TopBar } from './topbar';
import { w } from './words';

interface Screen {
  default: ComponentType;
}
const loaded = new Map<string, Promise<Screen>>();

/** The module of a screen, in the version that the page names. */
function load(name: string): Promise<Screen> {
  let module = loaded.get(name);
  if (!module) {
    module = import(new URL(modules[name]!, location.href).href) as Promise<Screen>;
    loaded.set(name, module);
    module.catch(() => loaded.delete(name));
  }
  return module;
}

export function Shell() {
  const asked = route.value.screen;
  const screen = asked === 'home' && !modules.home ? FIRST : asked;
  useEffect(() => {
    if (screen !== asked) go(screen, route.value.q, true);
  }, [screen, asked]);
  const key = firingKey.value;
  useEffect(() => void countFiring(), [key]);
  useEffect(() => void (document.title = `${placeOf(screen)?.title() ?? ''} · Mirador`), [screen, w.home()]);
  return (
    <>
      <Rail />
      <div class="column">
        <TopBar />
        <Horizon />
        <main id="main" tabIndex={-1} class={`screen-${screen}`}>
          {modules[screen] ? (
            <Guard key={screen}>
              <Stage name={screen} />
            </Guard>
          ) : (
            <Missing name={screen} />
          )}
        </main>
        <Drawer />
      </div>
      <Layers />
      <Toasts />
      <TokenPrompt />
    </>
  );
}

function Stage({ name }: { name: string }) {
  const [module, setModule] = useState<Screen | undefined>(undefined);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    load(name).then(setModule, (error: unknown) => {
      console.error(error);
      setFailed(true);
    });
  }, [name]);
  if (failed) return <Stale />;
  return module ? <module.default /> : <Skeleton height={400} />;
}

/** The files on the server are of another version than this page, or the server is away. */
const Stale = () => (
  <Empty title={w.fresh()}>
    <button type="button" class="btn primary" onClick={() => location.reload()}>
      {w.reload()}
    </button>
  </Empty>
);

const Missing = ({ name }: { name: string }) => (
  <Empty title={w.noScreen()} why={w.noScreenWhy({ name })}>
    <a class="btn primary" href={href(FIRST)}>
      {w.toFirst()}
    </a>
  </Empty>
);

/** A mistake in one screen leaves the others. */
class Guard extends Component<{ children: preact.ComponentChildren }, { error?: Error }> {
  static override getDerivedStateFromError(error: Error) {
    return { error };
  }
  override componentDidCatch(error: Error): void {
    console.error(error);
  }
  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Empty title={w.broke()} why={String(this.state.error.message)}>
        <button type="button" class="btn primary" onClick={() => location.reload()}>
          {w.reload()}
        </button>
      </Empty>
    );
  }
}
