/* Gives each figure.snippet a button that copies its code; without a script there is none. */
(function () {
  'use strict';

  const isChinese = () => document.documentElement.lang.startsWith('zh');

  function copy(button, source) {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    // navigator.clipboard is absent on plain http, where these pages often live.
    const copied = document.execCommand('copy');
    if (copied) button.textContent = isChinese() ? '已复制' : 'Copied';
    else button.textContent = isChinese() ? '请按 Ctrl+C' : 'Press Ctrl+C';
  }

  document.querySelectorAll('figure.snippet').forEach((figure) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = isChinese() ? '复制' : 'Copy';
    button.addEventListener('click', () => copy(button, figure.querySelector('pre')));
    figure.appendChild(button);
  });
})();
