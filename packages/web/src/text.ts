/** All texts of the page, in English and Korean side by side. */

/** The first language of the browser that the page has. */
export const language =
  navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag === 'ko' || tag === 'en') ?? 'en'

const texts = {
  // States
  ready: ['Ready', '시작 가능'],
  in_progress: ['In progress', '진행 중'],
  blocked: ['Blocked', '대기 중'],
  deferred: ['Deferred', '예약됨'],
  completed: ['Done', '완료'],
  high: ['High', '높음'],
  medium: ['Medium', '보통'],
  low: ['Low', '낮음'],

  // The plans
  plans: ['Plans', '계획'],
  allPlans: ['All plans', '전체 계획'],
  morePlans: ['Show more', '더 보기'],
  noPlans: [
    'No plans yet. An agent saves one with POST /api/v1/batches, or the tool create_plan.',
    '아직 계획이 없습니다. 에이전트가 POST /api/v1/batches나 create_plan 도구로 저장하면 여기에 나타납니다.',
  ],
  noPlansOfSession: ['This session has no plans.', '이 세션에는 계획이 없습니다.'],
  apiDocs: ['API documentation', 'API 문서'],
  search: ['Search', '검색'],
  searchSession: ['Session id', '세션 ID'],
  noSessionId: [
    'A session id is a UUID, such as 550e8400-e29b-41d4-a716-446655440001.',
    '세션 ID는 550e8400-e29b-41d4-a716-446655440001과 같은 UUID입니다.',
  ],
  session: ['Session', '세션'],
  noReason: ['Untitled plan', '제목 없는 계획'],
  doneOf: ['{done} of {total} done', '{total}개 중 {done}개 완료'],
  countOf: ['{n} {state}', '{state} {n}'],
  lastActivity: ['Last activity {ago}', '마지막 활동 {ago}'],

  // The plan
  views: ['Views', '보기'],
  list: ['List', '목록'],
  graph: ['Graph', '그래프'],
  board: ['Board', '보드'],
  timeline: ['Timeline', '타임라인'],
  more: ['Show all', '전체 보기'],
  less: ['Show less', '접기'],
  loading: ['Loading …', '불러오는 중 …'],
  notLoaded: ['This view could not be loaded.', '보기를 불러오지 못했습니다.'],
  reload: ['Reload', '새로 고침'],
  step: ['Step {n}', '{n}단계'],
  tasksOf: ['{n} {n:task|tasks}', '태스크 {n}개'],
  waitsForNothing: ['waits for nothing', '선행 태스크 없음'],
  noTasks: ['This plan has no tasks.', '이 계획에는 태스크가 없습니다.'],
  allDone: ['All tasks are done and hidden.', '모든 태스크가 완료되어 숨겨져 있습니다.'],
  waitsFor: ['Waits for', '선행 태스크'],
  holdsUp: ['Blocks', '후속 태스크'],
  holdsUpInAll: ['{n} tasks in all, directly and indirectly', '간접적인 것까지 모두 {n}개'],
  andMore: ['and {n} more', '외 {n}개'],
  unknownTask: ['a task that cannot be read', '볼 수 없는 태스크'],
  priorityIs: ['{priority} priority', '우선순위 {priority}'],
  due: ['Due {when}', '마감 {when}'],
  overdue: ['Overdue since {when}', '마감 지남 {when}'],
  from: ['from {when}', '{when}부터'],
  left: ['{time} left', '{time} 남음'],
  over: ['ending …', '만료 중 …'],
  deletedTasks: ['Deleted tasks', '삭제된 태스크'],
  nothingDeleted: ['Nothing was deleted.', '삭제된 태스크가 없습니다.'],

  // The task
  task: ['Task', '태스크'],
  close: ['Close', '닫기'],
  heldBy: ['{who} works on it, until {when}', '{who} 작업 중, {when}까지'],
  heldByNobody: ['Nobody holds it.', '선점한 워커가 없습니다.'],
  leaseExpired: [
    'The lease of {who} expired at {when}. Others can claim it.',
    '{who}의 리스가 {when}에 만료되었습니다. 다른 워커가 선점할 수 있습니다.',
  ],
  result: ['Result', '결과'],
  metadata: ['Metadata', '메타데이터'],
  history: ['History', '이력'],
  attempts: ['Attempts', '시도 횟수'],
  created: ['Created', '생성'],
  changed: ['Changed', '변경'],
  completedAt: ['Completed', '완료 시각'],
  noSuchTask: ['This plan has no such task.', '이 계획에 없는 태스크입니다.'],
  deletedBy: ['Deleted by {who} {ago}.', '{who}이(가) {ago} 삭제했습니다.'],
  noEvents: [
    'This service keeps no events, so there is no history.',
    '이벤트를 기록하지 않는 서비스이므로 이력이 없습니다.',
  ],

  // Actions
  addTask: ['Add a task', '태스크 추가'],
  add: ['Add', '추가'],
  editTask: ['Edit the task', '태스크 수정'],
  edit: ['Edit', '수정'],
  save: ['Save', '저장'],
  cancel: ['Cancel', '취소'],
  complete: ['Complete', '완료 처리'],
  reopen: ['Reopen', '다시 열기'],
  release: ['Release', '선점 해제'],
  delete: ['Delete', '삭제'],
  undo: ['Undo', '실행 취소'],
  putBack: ['Restore', '복원'],
  dismiss: ['Dismiss', '닫기'],
  ask_complete: ['Complete “{title}”?', '“{title}” 태스크를 완료 처리할까요?'],
  ask_reopen: ['Reopen “{title}”?', '“{title}” 태스크를 다시 열까요?'],
  ask_release: ['Release “{title}”?', '“{title}” 태스크의 선점을 해제할까요?'],
  ask_delete: ['Delete “{title}”?', '“{title}” 태스크를 삭제할까요?'],
  takesWork: [
    '{who} is working on it. This ends the lease: what {who} sends under it is rejected.',
    '{who}이(가) 작업 중입니다. 계속하면 리스가 끝나고, 그 리스로 보내는 변경은 거부됩니다.',
  ],
  deleteHoldsUp: [
    '{n} {n:task waits|tasks wait} for it, and no longer will, even if it is restored.',
    '태스크 {n}개가 이 태스크를 기다리고 있습니다. 삭제하면 더는 기다리지 않으며, 복원해도 마찬가지입니다.',
  ],
  resultOptional: ['What came of it (optional)', '결과 (선택)'],
  note: ['Note', '메모'],
  noteHint: ['What the next one should know', '다음 워커가 알아야 할 내용'],
  addNote: ['Add the note', '메모 남기기'],
  findTask: ['Find a task', '태스크 찾기'],
  wasDeleted: ['“{title}” was deleted.', '“{title}” 태스크를 삭제했습니다.'],
  notKept: ['It was deleted too long ago to be restored.', '삭제한 지 오래되어 복원할 수 없습니다.'],
  wasFaster: [
    '{who} was faster and changed: {what}. Nothing was saved. Look at the task as it is now, then try again.',
    '{who}이(가) 먼저 변경했습니다: {what}. 저장된 내용이 없습니다. 지금 상태를 확인한 뒤 다시 시도하세요.',
  ],
  somebody: ['Somebody', '누군가'],
  something: ['something else', '기타'],

  // Fields, and what happened to them
  field_title: ['Title', '제목'],
  field_description: ['Description', '설명'],
  field_status: ['Status', '상태'],
  field_priority: ['Priority', '우선순위'],
  field_due_date: ['Due date', '마감'],
  field_not_before: ['Not before', '시작 가능 시각'],
  field_blocked_by: ['Waits for', '선행 태스크'],
  field_result: ['Result', '결과'],
  field_metadata: ['Metadata', '메타데이터'],
  did_created: ['created it', '생성'],
  did_extended: ['added it', '추가'],
  did_updated: ['changed {what}', '변경: {what}'],
  did_claimed: ['claimed it', '선점'],
  did_released: ['released it', '선점 해제'],
  did_completed: ['completed it', '완료'],
  did_reopened: ['reopened it', '다시 열기'],
  did_noted: ['left a note', '메모'],
  did_deleted: ['deleted it', '삭제'],
  did_restored: ['restored it', '복원'],

  // The service
  skip: ['Skip to content', '본문으로 건너뛰기'],
  live: ['Live', '실시간'],
  lost: ['Connection lost, trying again …', '연결이 끊어져 다시 시도하는 중 …'],
  unreachable: ['The service cannot be reached.', '서비스에 연결할 수 없습니다.'],
  readOnly: ['Read-only', '읽기 전용'],
  keyTitle: ['This service requires a key', '키가 필요한 서비스입니다'],
  keyHint: [
    'An API key or token. It is kept in this tab only and forgotten when the tab is closed.',
    'API 키나 토큰을 입력하세요. 이 탭에만 보관되며 탭을 닫으면 지워집니다.',
  ],
  key: ['Key', '키'],
  open: ['Open', '열기'],
  wrongKey: [
    'This key is not valid. Check that it is complete and belongs to this service.',
    '유효하지 않은 키입니다. 키 전체를 입력했는지, 이 서비스의 키인지 확인하세요.',
  ],
  forgetKey: ['Forget the key', '키 지우기'],

  // Time
  justNow: ['just now', '방금'],

  // Graph
  graphLabel: ['Dependency graph', '의존 관계 그래프'],
  graphHint: [
    'Arrow keys move between tasks, Enter selects, plus and minus zoom, 0 fits all. The list shows the same plan as text.',
    '방향키로 태스크 사이를 이동하고 Enter로 선택합니다. 더하기와 빼기로 확대·축소하고, 0으로 전체를 봅니다. 목록 보기에서 같은 계획을 글로 볼 수 있습니다.',
  ],
  graphChain: ['Longest remaining chain: {n} {n:task|tasks}', '가장 긴 남은 경로: 태스크 {n}개'],
  graphLayingOut: ['Arranging the graph …', '그래프를 배치하는 중 …'],
  graphFailed: [
    'The graph could not be arranged. Use the list instead.',
    '그래프를 배치하지 못했습니다. 목록 보기를 이용하세요.',
  ],
  zoomIn: ['Zoom in', '확대'],
  zoomOut: ['Zoom out', '축소'],
  fit: ['Fit', '전체 보기'],
  hideDone: ['Hide done', '완료 숨기기'],

  // Board
  boardNone: ['None', '없음'],
  showMore: ['Show more ({n} left)', '더 보기 ({n}개 남음)'],
  boardNotBefore: ['Not before {time}', '{time} 이후 시작 가능'],
  boardPriority: ['High priority', '우선순위 높음'],
  boardAttempts: ['Attempt {n}', '{n}번째 시도'],
  boardExpired: ['Lease expired at {time}', '{time}에 리스 만료'],
  boardNoWorker: ['No worker', '워커 없음'],
  boardUntil: ['until {time}', '{time}까지'],
  boardOver: ['expired', '만료됨'],

  // Timeline
  timelineProgress: ['Progress', '진행률'],
  timelineProgressLabel: [
    'Progress over time: {completed} of {total} tasks are done',
    '시간에 따른 진행률: 태스크 {total}개 중 {completed}개 완료',
  ],
  timelineEmpty: [
    'No work yet. It appears here when a worker claims a task.',
    '아직 작업 기록이 없습니다. 워커가 태스크를 선점하면 여기에 표시됩니다.',
  ],
  timelineLabel: ['Work over time, one row per worker', '워커별 시간 기록'],
  timelineHint: [
    'Arrow keys move between entries, Enter selects the task. The table below has the same as text.',
    '방향키로 기록 사이를 이동하고 Enter로 태스크를 선택합니다. 아래 표에서 같은 내용을 글로 볼 수 있습니다.',
  ],
  timelineByHand: ['by hand', '직접 변경'],
  timelineNotes: ['Notes', '메모'],
  timelineLog: ['Work log', '작업 기록'],
  timelineWorker: ['Worker', '워커'],
  timelineFrom: ['From', '시작'],
  timelineDuration: ['Duration', '소요 시간'],
  timelineOutcome: ['Outcome', '결과'],
  timelineDeleted: ['A deleted task', '삭제된 태스크'],
  outcome_running: ['In progress', '진행 중'],
  outcome_completed: ['Done', '완료'],
  outcome_released: ['Given back', '반납'],
  outcome_expired: ['Lease expired', '리스 만료'],
} as const satisfies Record<string, readonly [en: string, ko: string]>

export type TextKey = keyof typeof texts

/**
 * A text in the language of the reader. `{name}` is replaced by the value of that name, and `{n:task|tasks}` by the first word if
 * `n` is 1, else by the second.
 */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  return texts[key][language === 'ko' ? 1 : 0].replace(
    /\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g,
    (_, name: string, one?: string, many?: string) =>
      one === undefined ? String(values[name]) : values[name] === 1 ? one : many!,
  )
}

/** The name of a field of a task; as it is in the API, if the page has none. */
export function fieldName(field: string): string {
  const key = `field_${field}`
  return key in texts ? t(key as TextKey) : field
}
