// The rail: where one can go, and how things look.
import { lang } from '../core/i18n';
import { Icon, Logo } from '../core/icons';
import { menuBelow } from '../core/overlays';
import { Segments } from '../core/parts';
import { href, route } from '../core/url';
import { setLang, setTheme, theme } from '../core/view';
import { going } from './keys';
import { FIRST, placeOf, places } from './nav';
import { firing } from './horizon-data';
import { w } from './words';

export function Rail() {
  const here = placeOf(route.value.screen)?.screen;
  const alerts = firing.value;
  return (
    <nav class={going.value ? 'rail going' : 'rail'} aria-label={w.menu()}>
      <a class="brand" href={href(FIRST)}>
        <Logo />
        <span>Mirador</span>
      </a>
      <ul>
        {places.map(({ screen, key, icon, title }) => (
          <li key={screen}>
            <a href={href(screen)} class={screen === here ? 'on' : ''} aria-current={screen === here ? 'page' : undefined} title={title()}>
              <Icon name={icon} />
              <span>{title()}</span>
              {screen === 'alerts' && alerts > 0 && <em>{alerts}</em>}
              <kbd class="hint">{key}</kbd>
            </a>
          </li>
        ))}
      </ul>
      <div class="foot">
        <Segments
          items={[
            { value: 'ko', text: '한국어' },
            { value: 'en', text: 'EN' },
          ]}
          value={lang.value}
          onPick={(value) => setLang(value === 'en' ? 'en' : 'ko')}
          label={w.language()}
        />
        <button type="button" class="btn icon" title={w.theme()} aria-label={w.theme()} onClick={(event) => themeMenu(event.currentTarget)}>
          <Icon name="theme" />
        </button>
      </div>
    </nav>
  );
}

function themeMenu(anchor: Element): void {
  menuBelow(anchor, [
    { text: w.dark(), act: () => setTheme('dark') },
    { text: w.light(), act: () => setTheme('light') },
    { text: w.system(), act: () => setTheme('system') },
  ]);
}

export const toggleTheme = (): void => setTheme(theme.value === 'light' ? 'dark' : 'light');
