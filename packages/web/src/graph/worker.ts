/** Lays the graph out beside the page, so that the page stays responsive. */
import { type Graph, layOut } from './layout.js'

addEventListener('message', ({ data }: MessageEvent<Graph>) => postMessage(layOut(data)))
