/** What surrounds the plans and the plan: the bar above them, and the question for a key. */
import { useSignal } from '@preact/signals'
import { address, hrefOf } from './address.js'
import { Notice } from './dialog.js'
import { PlanPage } from './plan-page.js'
import { Plans } from './plans.js'
import { asksForKey, canWrite, enterKey, isLost, key } from './service.js'
import { t } from './text.js'

export function App() {
  const { plan } = address.value
  if (asksForKey.value) return <KeyForm why={asksForKey.value} />
  return (
    <>
      <TopBar />
      {/* Another plan, and another key, begin anew. */}
      {plan ? <PlanPage key={plan + key.value} id={plan} /> : <Plans key={key.value} />}
      <Notice />
    </>
  )
}

function TopBar() {
  return (
    <header class="top">
      <button type="button" class="skip" onClick={skip}>
        {t('skip')}
      </button>
      <a class="brand" href={hrefOf({})}>
        <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
          <circle cx="8" cy="8" r="8" />
          <path d="M4.500 8.200l2.400 2.400 4.600-5" />
        </svg>
        AKLP
      </a>
      <p class="connection" role="status">
        {isLost.value ? <span class="lost">{t('lost')}</span> : <span class="live">{t('live')}</span>}
      </p>
      {!canWrite.value && <p class="badge">{t('readOnly')}</p>}
      {key.value && (
        <button type="button" class="quiet" onClick={() => enterKey('')}>
          {t('forgetKey')}
        </button>
      )}
    </header>
  )
}

/** No link to a part of the page, as that would replace the address of the plan. */
function skip() {
  const main = document.querySelector('main')!
  main.tabIndex = -1
  main.focus()
}

function KeyForm({ why }: { why: 'missing' | 'wrong' }) {
  const value = useSignal('')
  const submit = (event: Event) => {
    event.preventDefault()
    enterKey(value.value.trim())
  }
  return (
    <main id="main" class="key">
      <form onSubmit={submit}>
        <h1>{t('keyTitle')}</h1>
        <p>{t('keyHint')}</p>
        <label>
          {t('key')}
          <input
            type="password"
            required
            autofocus
            autocomplete="off"
            spellcheck={false}
            aria-invalid={why === 'wrong'}
            aria-describedby="key-error"
            value={value}
            onInput={({ currentTarget }) => {
              value.value = currentTarget.value
            }}
          />
        </label>
        <p id="key-error" class="error" role="alert">
          {why === 'wrong' && t('wrongKey')}
        </p>
        <button type="submit" class="primary">
          {t('open')}
        </button>
      </form>
    </main>
  )
}
