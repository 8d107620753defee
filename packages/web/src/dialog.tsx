/** Dialogs, and the short message after an action. */
import { signal, useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { explain } from './service.js'
import { t } from './text.js'

/** A modal dialog; the browser keeps the focus in it, and closes it with Escape. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const { title, onClose, children } = props
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const opener = document.activeElement as HTMLElement
    ref.current!.showModal()
    return () =>
      setTimeout(() => {
        if (document.activeElement !== document.body) return
        // What was done can remove the button that asked for it.
        const next = opener.isConnected ? opener : document.querySelector<HTMLElement>('.panel h2')
        next?.focus()
      })
  }, [])
  return (
    <dialog ref={ref} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  )
}

interface FormProps {
  /** What the button says that does it. */
  action: string
  /** How much it stands out. */
  kind?: 'primary' | 'danger' | ''
  /** Throws if it fails: then the form stays, with the reason. */
  submit: () => Promise<void>
  /** The text of an error; by default, that of the service. */
  describe?: (error: unknown) => Promise<string> | string
  onClose?: (() => void) | undefined
  children?: ComponentChildren
}

/** A form that can be sent once at a time and shows why it failed. */
export function Form({ action, kind = 'primary', submit, describe = explain, onClose, children }: FormProps) {
  const error = useSignal<string>()
  const isBusy = useSignal(false)
  const send = async (event: Event) => {
    event.preventDefault()
    if (isBusy.value) return
    isBusy.value = true
    error.value = undefined
    try {
      await submit()
      onClose?.()
    } catch (reason) {
      error.value = await describe(reason)
    }
    isBusy.value = false
  }
  return (
    <form onSubmit={send}>
      {children}
      <p class="error" role="alert">
        {error}
      </p>
      <div class="actions">
        {onClose && (
          <button type="button" onClick={onClose}>
            {t('cancel')}
          </button>
        )}
        <button type="submit" class={kind} aria-disabled={isBusy}>
          {action}
        </button>
      </div>
    </form>
  )
}

/** What was just done, with the way back if there is one. It stays until it is dismissed or something else is done. */
export const notice = signal<{ text: string; undo?: () => Promise<void> } | undefined>()

export function Notice() {
  const { text, undo } = notice.value ?? {}
  const dismiss = () => {
    notice.value = undefined
  }
  const takeBack = async () => {
    try {
      await undo!()
      dismiss()
    } catch (error) {
      notice.value = { text: explain(error) }
    }
  }
  return (
    <div class="notice" role="status">
      {text && (
        <p>
          <span>{text}</span>
          {undo && (
            <button type="button" onClick={takeBack}>
              {t('undo')}
            </button>
          )}
          <button type="button" class="quiet" onClick={dismiss} aria-label={t('dismiss')}>
            ✕
          </button>
        </p>
      )}
    </div>
  )
}
