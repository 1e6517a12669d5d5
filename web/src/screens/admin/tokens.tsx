// Tokens: who may come in. What is destructive asks for the name.
import { ApiError, call, closeTop, CopyButton, Empty, format, open, Panel, Section, Table, toast, useLoad, useState } from '../../core';
import { w } from './words';

interface Token {
  id: string;
  name: string;
  scopes: string[];
  tenants: string[] | string;
  created_ms?: number;
  expires_ms?: number | null;
}

const SCOPES = ['read', 'write', 'rules', 'admin'];
const PATH = '/api/admin/tokens';

/** The list, or nothing where the server gives no rights over HTTP. */
async function list(signal: AbortSignal): Promise<Token[] | undefined> {
  try {
    return (await call<{ tokens: Token[] }>(PATH, {}, { signal })).tokens;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return undefined;
    throw error;
  }
}

export function Tokens() {
  const loaded = useLoad('tokens', async (signal) => ({ tokens: await list(signal) }));
  return <Panel of={loaded} height={200}>{({ tokens }) => (tokens ? <List tokens={tokens} onChange={loaded.retry} /> : <Off />)}</Panel>;
}

function Off() {
  const command = 'mirador token create grafana --scope read';
  return (
    <Empty title={w.tokensOff()} why={w.tokensOffWhy()}>
      <pre class="well">{command}</pre>
      <CopyButton text={command} />
    </Empty>
  );
}

function List({ tokens, onChange }: { tokens: Token[]; onChange: () => void }) {
  return (
    <>
      <NewToken onChange={onChange} />
      <Section title={w.tokens()}>
        {tokens.length === 0 ? <p class="hint">{w.noTokens()}</p> : (
          <Table
            label={w.tokens()} rows={tokens} rowKey={(one) => one.id}
            columns={[
              { head: w.name(), class: 'clip', cell: (one) => <b class="strong">{one.name}</b> },
              { head: w.scopes(), class: 'nowrap', cell: (one) => one.scopes.map((scope) => <span key={scope} class="tag">{scope}</span>) },
              { head: w.tenants(), class: 'nowrap', cell: (one) => <code>{[one.tenants].flat().join(', ')}</code> },
              { head: w.created(), class: 'nowrap lo', cell: (one) => <span class="num faint">{one.created_ms ? format.stamp(one.created_ms) : '–'}</span> },
              { head: w.expires(), class: 'nowrap lo', cell: (one) => <span class="num faint">{one.expires_ms ? format.stamp(one.expires_ms) : w.never()}</span> },
              { head: '', class: 'r nowrap', cell: (one) => <button type="button" class="btn small" onClick={() => open(() => <Revoke token={one} onChange={onChange} />, { modal: true })}>{w.revoke()}</button> },
            ]}
          />
        )}
      </Section>
    </>
  );
}

function NewToken({ onChange }: { onChange: () => void }) {
  const [name, setName] = useState('');
  const [tenants, setTenants] = useState('');
  const [scopes, setScopes] = useState(['read']);
  const [secret, setSecret] = useState('');
  const create = async (event: Event) => {
    event.preventDefault();
    const names = tenants.split(',').map((one) => one.trim()).filter(Boolean);
    try {
      const made = await call<{ token: string }>(PATH, {}, { method: 'POST', json: { name, scopes, ...(names.length > 0 && { tenants: names }) } });
      setSecret(made.token);
      setName('');
      onChange();
    } catch (error) {
      toast(w.failed(), (error as Error).message);
    }
  };
  const toggle = (scope: string) => setScopes(scopes.includes(scope) ? scopes.filter((one) => one !== scope) : [...scopes, scope]);
  return (
    <Section title={w.newToken()}>
      <form class="newtoken" onSubmit={(event) => void create(event)}>
        <label>{w.name()}<input class="input" required value={name} onInput={(event) => setName(event.currentTarget.value)} /></label>
        <label>{w.tenants()}<input class="input" placeholder={w.tenantsHow()} value={tenants} onInput={(event) => setTenants(event.currentTarget.value)} /></label>
        <fieldset>
          <legend>{w.scopes()}</legend>
          {SCOPES.map((scope) => (
            <label key={scope}><input type="checkbox" checked={scopes.includes(scope)} onChange={() => toggle(scope)} />{scope}</label>
          ))}
        </fieldset>
        <button type="submit" class="btn primary" disabled={scopes.length === 0}>{w.create()}</button>
      </form>
      {secret && <p class="banner" role="status"><span class="grow">{w.secret()} <code>{secret}</code></span><CopyButton text={secret} /></p>}
    </Section>
  );
}

function Revoke({ token, onChange }: { token: Token; onChange: () => void }) {
  const [typed, setTyped] = useState('');
  const revoke = async (event: Event) => {
    event.preventDefault();
    closeTop();
    try {
      await call(`${PATH}/${encodeURIComponent(token.id)}`, {}, { method: 'DELETE' });
      toast(w.revoked(), token.name);
    } catch (error) {
      toast(w.failed(), (error as Error).message);
    }
    onChange();
  };
  return (
    <div role="dialog" aria-modal="true" aria-label={w.revoke()}>
      <form class="sheet token" onSubmit={(event) => void revoke(event)}>
        <h2>{w.revoke()}: {token.name}</h2>
        <label>{w.revokeAsk({ name: token.name })}<input class="input" data-focus value={typed} onInput={(event) => setTyped(event.currentTarget.value)} /></label>
        <button type="submit" class="btn primary" disabled={typed !== token.name}>{w.revoke()}</button>
      </form>
    </div>
  );
}
