/** Components that are loaded when they are shown for the first time. */
import { signal } from '@preact/signals'
import type { FunctionComponent } from 'preact'
import { useEffect } from 'preact/hooks'
import { t } from './text.js'

export function lazy<Props extends object>(
  load: () => Promise<FunctionComponent<Props>>,
): FunctionComponent<Props> {
  const loaded = signal<FunctionComponent<Props>>()
  const isFailed = signal(false)
  return function Lazy(props: Props) {
    useEffect(() => {
      if (loaded.value) return
      isFailed.value = false
      load().then(
        (component) => {
          loaded.value = component
        },
        () => {
          isFailed.value = true
        },
      )
    }, [])
    const Loaded = loaded.value
    if (Loaded) return <Loaded {...props} />
    if (!isFailed.value) return <p class="loading">{t('loading')}</p>
    // After an update of the service, files of the page before are gone.
    return (
      <p class="error" role="alert">
        {t('notLoaded')}{' '}
        <button type="button" onClick={() => location.reload()}>
          {t('reload')}
        </button>
      </p>
    )
  }
}
