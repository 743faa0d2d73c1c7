// Vue 3 with vue-router; with ?hash its routes are in the fragment.
import { createApp, defineComponent, h } from 'vue';
import { createRouter, createWebHashHistory, createWebHistory, RouterLink, RouterView } from 'vue-router';
import { ready, share, watch } from './wxsign.mjs';

// Once for the whole application, before the router changes the address.
watch({ jsApiList: ['scanQRCode'], onError: (error) => console.error(error.code, error.debug) });

const page = (title: string) => defineComponent(() => {
  share({ title, imgUrl: location.origin + '/static/icon.svg' }).catch(() => {});
  return () => h('main', title);
});

// It comes late, when WeChat has long been asked what the page may do.
const late = async () => {
  await ready().catch(() => {});
  return page('Home');
};

const router = createRouter({
  history: location.search === '?hash' ? createWebHashHistory('/vue/?hash') : createWebHistory('/vue/'),
  routes: [
    { path: '/', component: late },
    { path: '/cart', component: page('Cart') },
    { path: '/product/:id', component: page('Product') },
    { path: '/orders', component: page('Orders') },
  ],
});

const links: [string, string][] = [['/', 'Home'], ['/cart', 'Cart'], ['/product/7?from=list', 'Product'], ['/orders', 'Orders']];

createApp(() => [
  h('nav', links.map(([to, name]) => h(RouterLink, { to }, () => name))),
  h(RouterView),
]).use(router).mount('#app');
