// A page without a framework: its links change the address by pushState, with ?hash the fragment.
const hash = location.search === '?hash';

function show() {
  const path = hash ? location.hash.slice(1) : location.pathname;
  const title = path.split('/').pop() || 'Home';
  document.querySelector('main').textContent = title;
  wxsign.share({ title, imgUrl: location.origin + '/static/icon.svg' }).catch(() => {});
}

document.querySelectorAll('nav a').forEach((link) => {
  link.addEventListener('click', (event) => {
    event.preventDefault();
    const path = link.getAttribute('href');
    if (hash) return location.assign('#' + path.replace('/plain', ''));
    history.pushState(null, '', path);
    show();
  });
});
addEventListener('popstate', show);

wxsign.watch({ onError: (error) => console.error(error.code, error.debug) });
show();
