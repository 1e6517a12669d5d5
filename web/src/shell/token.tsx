// Asking who somebody is, when the server asks.
import { useState } from 'preact/hooks';
import { needsToken, saveToken } from '../core/api';
import { w } from './words';

export function TokenPrompt() {
  const [token, setToken] = useState('');
  const [tenant, setTenant] = useState('');
  if (!needsToken.value) return null;
  const submit = (event: Event) => {
    event.preventDefault();
    saveToken(token.trim(), tenant.trim());
  };
  return (
    <div class="over veil">
      <div role="dialog" aria-modal="true" aria-label={w.token()}>
      <form class="sheet token" onSubmit={submit}>
        <h2>{needsToken.value === 'wrong' ? w.tokenWrong() : w.token()}</h2>
        <p class="dim">{w.tokenWhy()}</p>
        <label>
          {w.tokenField()}
          <input class="input mono" type="password" autocomplete="off" autofocus value={token} onInput={(e) => setToken(e.currentTarget.value)} />
        </label>
        <label>
          {w.tenantField()}
          <input class="input mono" autocomplete="off" value={tenant} onInput={(e) => setTenant(e.currentTarget.value)} />
        </label>
        <button type="submit" class="btn primary">
          {w.enter()}
        </button>
      </form>
      </div>
    </div>
  );
}
