/** The newest plans, and the search for those of a session. */
import type { Batch } from '@aklp/task-client'
import { batch as together, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { address, go, hrefOf } from './address.js'
import { follow, sleep } from './live.js'
import type { State } from './plan.js'
import { ProgressBar } from './progress.js'
import { client } from './service.js'
import { t } from './text.js'
import { ago } from './time.js'

const FIELDS = ['session_id', 'reason', 'created_at', 'progress'] as const
type Summary = Pick<Batch, 'id' | (typeof FIELDS)[number]>

/** Plans that are shown at first, and more when they are asked for. */
const STEP = 20
/** Milliseconds between two reads of the list. */
const GAP = 500

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i

export function Plans() {
  const { session } = address.value
  const plans = useSignal<Summary[]>()
  const hasMore = useSignal(false)
  const error = useSignal<string>()
  const shown = useSignal(STEP)

  useEffect(() => {
    document.title = `${t('plans')} · AKLP`
    let isStale = false
    let reading: Promise<void> | undefined
    const filter = session ? { session_id: session } : {}

    async function readOnce() {
      const found: Summary[] = []
      let cursor: string | null | undefined
      do {
        const limit = Math.min(shown.peek() - found.length, 100)
        const page = await client.batches.list({
          ...filter,
          fields: FIELDS,
          limit,
          ...(cursor && { cursor }),
        })
        found.push(...page.items)
        cursor = page.next_cursor
      } while (cursor && found.length < shown.peek())
      together(() => {
        plans.value = found
        hasMore.value = Boolean(cursor)
      })
    }
    /** Reads the list, and again if something happened meanwhile. */
    function read(): Promise<void> {
      isStale = true
      reading ??= (async () => {
        try {
          while (isStale) {
            isStale = false
            await readOnce()
            await sleep(GAP)
          }
        } finally {
          reading = undefined
        }
      })()
      return reading
    }
    const retry = () => void read().catch(() => {})
    const stopMore = shown.subscribe((count) => count > STEP && retry())
    const stop = follow({
      filter,
      load: read,
      receive: retry,
      report: (text) => {
        error.value = text
      },
    })
    return () => {
      stop()
      stopMore()
    }
  }, [session])

  return (
    <main id="main" class="plans">
      <header>
        <h1>{t('plans')}</h1>
        <Search key={session} session={session} />
      </header>
      {error.value && (
        <p class="error" role="alert">
          {error.value}
        </p>
      )}
      {plans.value?.length === 0 && <Empty isSearch={session !== undefined} />}
      <ul aria-label={t('plans')} aria-busy={plans.value === undefined}>
        {plans.value?.map((plan) => (
          <PlanRow key={plan.id} plan={plan} />
        ))}
      </ul>
      {hasMore.value && (
        <button
          type="button"
          onClick={() => {
            shown.value += STEP
          }}
        >
          {t('morePlans')}
        </button>
      )}
    </main>
  )
}

function Search({ session }: { session: string | undefined }) {
  const error = useSignal<string>()
  const search = (event: SubmitEvent) => {
    event.preventDefault()
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get('session')).trim()
    if (text && !UUID.test(text)) error.value = t('noSessionId')
    else go({ session: text.toLowerCase() || undefined })
  }
  return (
    <search>
      <form class="search" onSubmit={search}>
        <label>
          <span class="hidden">{t('searchSession')}</span>
          <input
            name="session"
            type="search"
            placeholder={t('searchSession')}
            defaultValue={session ?? ''}
            spellcheck={false}
            autocomplete="off"
            aria-invalid={error.value !== undefined}
            aria-describedby="search-error"
          />
        </label>
        <button type="submit">{t('search')}</button>
        {session && <a href={hrefOf({})}>{t('allPlans')}</a>}
        <p id="search-error" class="error" role="alert">
          {error.value}
        </p>
      </form>
    </search>
  )
}

function Empty({ isSearch }: { isSearch: boolean }) {
  return (
    <p class="empty">
      {isSearch ? t('noPlansOfSession') : t('noPlans')} {!isSearch && <a href="docs">{t('apiDocs')}</a>}
    </p>
  )
}

function PlanRow({ plan }: { plan: Summary }) {
  const { id, session_id, reason, created_at, progress } = plan
  const counts = statesOf(progress)
  return (
    <li class="plan">
      <h2>
        <a href={hrefOf({ plan: id })}>{reason?.trim() || t('noReason')}</a>
      </h2>
      <ProgressBar counts={counts} />
      <p class="facts">
        <span>{t('lastActivity', { ago: ago(progress.last_activity_at ?? created_at) })}</span>
        {session_id && (
          <a href={hrefOf({ session: session_id })} title={session_id}>
            {t('session')} <code>{session_id.slice(0, 8)}</code>
          </a>
        )}
      </p>
    </li>
  )
}

/** The service counts tasks whose lease has expired as in progress and as ready; here each task is in one state. */
function statesOf({ completed, in_progress, ready, blocked, deferred, total }: Batch['progress']) {
  const expired = completed + in_progress + ready + blocked + deferred - total
  return { completed, in_progress: in_progress - expired, ready, blocked, deferred } satisfies Record<
    State,
    number
  >
}
