// React with react-router; with ?hash its routes are in the fragment.
import { useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter, HashRouter, Link, Route, Routes } from 'react-router';
import { share, watch } from './wxsign.mjs';

// Once for the whole application, outside its components.
watch({ onError: (error) => console.error(error.code, error.debug) });

function Page({ title }: { title: string }) {
  useEffect(() => {
    share({ title, imgUrl: location.origin + '/static/icon.svg' }).catch(() => {});
  }, [title]);
  return <main>{title}</main>;
}

function App() {
  return (
    <>
      <nav>
        <Link to="/">Home</Link>
        <Link to="/cart">Cart</Link>
        <Link to="/product/7?from=list">Product</Link>
        <Link to="/orders">Orders</Link>
      </nav>
      <Routes>
        <Route path="/" element={<Page title="Home" />} />
        <Route path="/cart" element={<Page title="Cart" />} />
        <Route path="/product/:id" element={<Page title="Product" />} />
        <Route path="/orders" element={<Page title="Orders" />} />
      </Routes>
    </>
  );
}

createRoot(document.getElementById('app')!).render(
  location.search === '?hash'
    ? <HashRouter><App /></HashRouter>
    : <BrowserRouter basename="/react"><App /></BrowserRouter>,
);
