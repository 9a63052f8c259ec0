import { connect } from '@extrachain/app';

const page = document.querySelector<HTMLElement>('#app')!;

/** An element with text: what comes from elsewhere is never read as HTML. */
function add(tag: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  page.append(element);
  return element;
}

const app = await connect();
const me = await app.accounts.own();
add('h1', 'My app');
add('p', 'Here you are known by an account of this app alone:');
add('code', me.address);
