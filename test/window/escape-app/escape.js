// Tries every way a page has to reach `target` (an http origin), each under a name of its own; the test looks at what got there.
// Served as an app it must reach nothing; served as a plain page it shows that the attempts would.
/* eslint-disable */
window.ways = (target, stun) => {
  const at = (name) => `${target}/hit/${name}`;
  const add = (tag, attributes, parent = document.body) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    parent.append(element);
    return element;
  };
  const worker = (name, code) =>
    new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })), { name });
  const style = (css) => {
    const sheet = document.createElement('style');
    sheet.textContent = css;
    document.head.append(sheet);
  };
  const peer = (scope, name) => {
    const connection = new scope.RTCPeerConnection({ iceServers: [{ urls: `stun:${stun}` }] });
    connection.createDataChannel(name);
    return connection.createOffer().then((offer) => connection.setLocalDescription(offer));
  };
  const host = new URL(target).host;

  const attempts = {
    fetch: () => fetch(at('fetch'), { mode: 'no-cors' }),
    fetchKeepalive: () =>
      fetch(at('fetchKeepalive'), { mode: 'no-cors', keepalive: true, method: 'POST', body: 'x' }),
    xhr: () => {
      const request = new XMLHttpRequest();
      request.open('GET', at('xhr'));
      request.send();
    },
    webSocket: () => new WebSocket(`ws://${host}/hit/webSocket`),
    eventSource: () => new EventSource(at('eventSource')),
    beacon: () => navigator.sendBeacon(at('beacon'), 'x'),
    img: () => (new Image().src = at('img')),
    imgSet: () => add('img', { srcset: `${at('imgSet')} 1x` }),
    inputImage: () => add('input', { type: 'image', src: at('inputImage') }),
    svgImage: () => {
      document.body.insertAdjacentHTML(
        'beforeend',
        `<svg><image href="${at('svgImage')}" width="9" height="9"/></svg>`,
      );
    },
    css: () => add('link', { rel: 'stylesheet', href: at('css') }, document.head),
    cssImport: () => style(`@import url("${at('cssImport')}");`),
    cssBackground: () => {
      style(`.b { background: url("${at('cssBackground')}"); width: 9px; height: 9px }`);
      add('div', { class: 'b' });
    },
    font: () => {
      style(`@font-face { font-family: f; src: url("${at('font')}") } .f { font-family: f }`);
      add('p', { class: 'f' }).textContent = 'text';
    },
    fontFace: () => new FontFace('g', `url(${at('fontFace')})`).load(),
    script: () => add('script', { src: at('script') }),
    module: () => import(at('module')),
    video: () => add('video', { src: at('video'), preload: 'auto' }),
    audio: () => (new Audio(at('audio')).preload = 'auto'),
    track: () => {
      const video = add('video', { crossorigin: 'anonymous' });
      const track = add('track', { src: at('track'), default: '' }, video);
      track.track.mode = 'showing';
    },
    object: () => add('object', { data: at('object') }),
    embed: () => add('embed', { src: at('embed') }),
    iframe: () => add('iframe', { src: at('iframe') }),
    srcdoc: () => add('iframe', { srcdoc: `<img src="${at('srcdoc')}">` }),
    blankFrame: () => {
      const frame = add('iframe', {});
      const image = frame.contentDocument.createElement('img');
      image.src = at('blankFrame');
      frame.contentDocument.body.append(image);
    },
    prefetch: () => add('link', { rel: 'prefetch', href: at('prefetch') }, document.head),
    preload: () => add('link', { rel: 'preload', as: 'image', href: at('preload') }, document.head),
    modulePreload: () => add('link', { rel: 'modulepreload', href: at('modulePreload') }, document.head),
    preconnect: () =>
      add(
        'link',
        { rel: 'preconnect', href: `http://preconnect.leak.test:${new URL(target).port}` },
        document.head,
      ),
    dnsPrefetch: () => add('link', { rel: 'dns-prefetch', href: '//dns.leak.test' }, document.head),
    dnsOfLink: () => add('a', { href: 'http://anchor.leak.test/' }),
    manifest: () => add('link', { rel: 'manifest', href: at('manifest') }, document.head),
    icon: () => add('link', { rel: 'icon', href: at('icon') }, document.head),
    speculation: () => {
      const rules = document.createElement('script');
      rules.type = 'speculationrules';
      rules.textContent = JSON.stringify({ prefetch: [{ source: 'list', urls: [at('speculation')] }] });
      document.head.append(rules);
    },
    blobWorker: () => worker('w', `fetch(${JSON.stringify(at('blobWorker'))}, { mode: 'no-cors' })`),
    workerImport: () => worker('w', `importScripts(${JSON.stringify(at('workerImport'))})`),
    workerSocket: () => worker('w', `new WebSocket(${JSON.stringify(`ws://${host}/hit/workerSocket`)})`),
    fileWorker: () => new Worker('worker.js').postMessage(at('fileWorker')),
    sharedWorker: () =>
      new SharedWorker(
        URL.createObjectURL(
          new Blob([`fetch(${JSON.stringify(at('sharedWorker'))}, { mode: 'no-cors' })`], {
            type: 'text/javascript',
          }),
        ),
      ),
    serviceWorker: () => navigator.serviceWorker.register('worker.js'),
    webTransport: () => new WebTransport(`https://${host}/hit/webTransport`).ready,
    webRtc: () => peer(window, 'webRtc'),
    webRtcOfFrame: () => peer(add('iframe', {}).contentWindow, 'webRtcOfFrame'),
    formGet: () => {
      const form = add('form', { action: at('formGet'), target: 'formFrame' });
      add('iframe', { name: 'formFrame' });
      form.submit();
    },
    formPopup: () => add('form', { action: at('formPopup'), target: '_blank', method: 'post' }).submit(),
    popup: () => window.open(at('popup')),
    popupBlank: () => window.open('about:blank').location.replace(at('popupBlank')),
    anchorBlank: () => add('a', { href: at('anchorBlank'), target: '_blank', rel: 'opener' }).click(),
    ping: () => {
      const link = add('a', { href: '#here', ping: at('ping') });
      link.click();
    },
    frameNavigation: () => (add('iframe', {}).contentWindow.location.href = at('frameNavigation')),
    dataFrame: () => add('iframe', { src: `data:text/html,<img src="${at('dataFrame')}">` }),
  };
  return attempts;
};

/** One of them by name. @returns why it was refused at once; null when it was begun */
window.tryWay = async (name, target, stun) => {
  try {
    await Promise.race([
      window.ways(target, stun)[name](),
      new Promise((resolve) => setTimeout(resolve, 150)),
    ]);
    return null;
  } catch (error) {
    return String(error?.name ?? error);
  }
};

// Each of these leaves the page, so each gets a page of its own.
window.leave = {
  location: (url) => (location.href = url),
  replace: (url) => location.replace(url),
  top: (url) => (top.location = url),
  metaRefresh: (url) => {
    const meta = document.createElement('meta');
    meta.httpEquiv = 'refresh';
    meta.content = `0;url=${url}`;
    document.head.append(meta);
  },
  formSelf: (url) => {
    const form = document.createElement('form');
    form.action = url;
    document.body.append(form);
    form.submit();
  },
  // To another origin it is an ordinary link.
  download: (url) => {
    const link = document.createElement('a');
    link.href = url;
    link.download = 'x';
    document.body.append(link);
    link.click();
  },
  anchor: (url) => {
    const link = document.createElement('a');
    link.href = url;
    document.body.append(link);
    link.click();
  },
};
