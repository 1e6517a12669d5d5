// The sheet of shortcuts.
import { IconButton, Keys } from '../core/parts';
import { closeTop } from '../core/overlays';
import { places } from './nav';
import { w } from './words';

export function ShortcutSheet() {
  const groups: [string, [string, string][]][] = [
    [w.kGo(), [['⌘K', w.kSearch()], ...places.map(({ key, title }): [string, string] => [`g ${key}`, title()]), ['/', w.kQuery()], ['f', w.kFilter()]]],
    [w.kTime(), [['space', w.kLive()], ['[ ]', w.kShift()], ['- =', w.kZoom()], ['.', w.kPick()], ['y', w.kLink()]]],
    [w.kRows(), [['j k', w.kNext()], ['↵', w.kOpen()], ['b', w.kBrush()], ['e', w.kWhy()], ['m', w.kMenu()], ['⇧ v', w.kTables()], ['⇧ t', w.kTheme()], ['esc', w.kEscape()], ['?', w.kSheet()]]],
  ];
  return (
    <div class="sheet" role="dialog" aria-label={w.shortcuts()}>
      <header>
        <h2>{w.shortcuts()}</h2>
        <IconButton icon="close" title={w.close()} onClick={() => closeTop()} />
      </header>
      <div class="cols">
        {groups.map(([title, keys]) => (
          <div key={title}>
            <h3>{title}</h3>
            {keys.map(([key, text]) => (
              <p key={key}>
                <span>
                  <Keys keys={key} />
                </span>
                {text}
              </p>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}
