import { defineConfig } from 'vitest/config';

// Some tests start programs or play thousands of packets; the limit only catches what hangs.
export default defineConfig({ test: { testTimeout: 120_000, include: ['src/**/*.test.ts', 'test/**/*.test.ts'] } });
