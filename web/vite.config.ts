import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// `QUIRE_URL` names the server that `npm run dev` passes the API on to.
const server = process.env.QUIRE_URL ?? 'http://127.0.0.1:8722';

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: {
    proxy: {
      '/api': { target: server, headers: { origin: server } },
      '/sign-in': { target: server, headers: { origin: server } },
    },
  },
});
