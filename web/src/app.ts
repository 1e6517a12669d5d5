// Where the page begins. What screens share is exported from here, so that it is loaded once.
import { h, render } from 'preact';
import { startRouter } from './core/url';
import { startView } from './core/view';
import { startKeys } from './shell/keys';
import { Shell } from './shell/shell';

export * from './core';

startRouter();
startView();
startKeys();
render(h(Shell, null), document.getElementById('app')!);
