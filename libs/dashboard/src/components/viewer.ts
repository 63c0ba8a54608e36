import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Visitor } from '../access.js';

/** Who looks at the page; undefined for those who are not signed in. */
export const Viewer = createContext<Visitor | undefined>(undefined);

/** Whether who looks may also change something. */
export const useMayAct = (): boolean => useContext(Viewer)?.role === 'operator';
