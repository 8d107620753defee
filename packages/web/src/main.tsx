/** Starts the page. */
import { render } from 'preact'
import { App } from './app.js'
import { language } from './text.js'

document.documentElement.lang = language
render(<App />, document.body)
