// GENERATED from packages/server/openapi.json by packages/client/scripts/generate.ts. Do not edit.
import type { Tool } from '../tools.js'
import type { ChangeOptions, CreateOptions } from '../transport.js'
import type { Operations } from './operations.js'

/** Every operation as a tool, called as in the OpenAPI document. */
export const tools: Tool[] = [
  {
    "name": "getHealth",
    "description": "Get the health of the service. Always answers 200 while the process runs; the body says whether the database works.",
    "parameters": {
      "type": "object",
      "properties": {},
      "required": [],
      "additionalProperties": false
    }
  },
  {
    "name": "createTask",
    "description": "Create a task. Adds one task, for example an extra exercise. To write down a whole learning path, create a batch: one call for all its tasks.",
    "parameters": {
      "type": "object",
      "properties": {
        "title": {
          "maxLength": 255,
          "description": "What to do, in 1 to 255 characters, not blanks only.",
          "examples": [
            "Pod 개념 이해하기"
          ],
          "minLength": 1,
          "pattern": "\\S",
          "type": "string"
        },
        "description": {
          "maxLength": 1000,
          "description": "How to do it, in up to 1000 characters; null for none.",
          "examples": [
            "kubectl run 명령어로 nginx Pod 생성"
          ],
          "type": [
            "string",
            "null"
          ]
        },
        "status": {
          "type": "string",
          "enum": [
            "pending",
            "in_progress",
            "completed"
          ],
          "description": "How far the task is: `pending` (not begun), `in_progress`, or `completed`.",
          "examples": [
            "pending"
          ],
          "default": "pending"
        },
        "priority": {
          "description": "How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.",
          "examples": [
            "high"
          ],
          "type": [
            "string",
            "null"
          ],
          "enum": [
            "high",
            "medium",
            "low",
            null
          ]
        },
        "due_date": {
          "description": "When it is due; null for never. RFC 3339; without an offset it is taken as UTC, and a date alone as its midnight in UTC.",
          "examples": [
            "2025-12-07T23:59:59Z"
          ],
          "type": [
            "string",
            "null"
          ],
          "format": "date-time"
        },
        "session_id": {
          "description": "The agent’s session: a UUID that it makes once and sends with every call. The tasks of a batch have the session of their batch; there this field is accepted and has no effect.",
          "examples": [
            "550e8400-e29b-41d4-a716-446655440001"
          ],
          "type": [
            "string",
            "null"
          ],
          "format": "uuid"
        }
      },
      "required": [
        "title"
      ],
      "additionalProperties": false
    }
  },
  {
    "name": "listTasks",
    "description": "List tasks. Answers what is left or done, a page at a time. Filters add up; without any, the tasks of all sessions are listed. An agent asks with its `session_id` and `status=pending` for what is left to do.",
    "parameters": {
      "type": "object",
      "properties": {
        "page": {
          "description": "Which page, from 1. A page past the end is empty and still reports the total.",
          "minimum": 1,
          "maximum": 2147483647,
          "default": 1,
          "type": "integer"
        },
        "limit": {
          "description": "Items a page, from 1 to 100.",
          "minimum": 1,
          "maximum": 100,
          "default": 10,
          "type": "integer"
        },
        "status": {
          "description": "Only tasks with this status.",
          "type": "string",
          "enum": [
            "pending",
            "in_progress",
            "completed"
          ]
        },
        "session_id": {
          "description": "Only tasks of this session. A UUID.",
          "type": "string",
          "format": "uuid"
        },
        "batch_id": {
          "description": "Only tasks of this batch. A UUID.",
          "type": "string",
          "format": "uuid"
        },
        "sort_by": {
          "description": "What to sort by. `priority` ranks high > medium > low, `status` ranks pending < in_progress < completed. Tasks without the value come last in both orders; equal ones are sorted by id.",
          "type": "string",
          "enum": [
            "updated_at",
            "created_at",
            "due_date",
            "priority",
            "status"
          ],
          "default": "updated_at"
        },
        "order": {
          "description": "`desc`: latest or highest first; `asc`: earliest or lowest first.",
          "type": "string",
          "enum": [
            "desc",
            "asc"
          ],
          "default": "desc"
        }
      },
      "required": [],
      "additionalProperties": false
    }
  },
  {
    "name": "getTask",
    "description": "Get a task. Answers one task as it is now.",
    "parameters": {
      "type": "object",
      "properties": {
        "task_id": {
          "description": "The task’s id.",
          "examples": [
            "019b0f3e-7c00-7000-8000-000000000001"
          ],
          "type": "string",
          "format": "uuid"
        }
      },
      "required": [
        "task_id"
      ],
      "additionalProperties": false
    }
  },
  {
    "name": "updateTask",
    "description": "Update a task. Changes the given fields and leaves the others as they are. `{\"status\": \"completed\"}` completes the task and sets its `completed_at`; any other status clears it. `{}` changes nothing.",
    "parameters": {
      "type": "object",
      "properties": {
        "task_id": {
          "description": "The task’s id.",
          "examples": [
            "019b0f3e-7c00-7000-8000-000000000001"
          ],
          "type": "string",
          "format": "uuid"
        },
        "title": {
          "maxLength": 255,
          "description": "What to do, in 1 to 255 characters, not blanks only.",
          "examples": [
            "Pod 개념 이해하기"
          ],
          "minLength": 1,
          "pattern": "\\S",
          "type": "string"
        },
        "description": {
          "maxLength": 1000,
          "description": "How to do it, in up to 1000 characters; null for none.",
          "examples": [
            "kubectl run 명령어로 nginx Pod 생성"
          ],
          "type": [
            "string",
            "null"
          ]
        },
        "status": {
          "type": "string",
          "enum": [
            "pending",
            "in_progress",
            "completed"
          ],
          "description": "How far the task is: `pending` (not begun), `in_progress`, or `completed`.",
          "examples": [
            "pending"
          ]
        },
        "priority": {
          "description": "How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.",
          "examples": [
            "high"
          ],
          "type": [
            "string",
            "null"
          ],
          "enum": [
            "high",
            "medium",
            "low",
            null
          ]
        },
        "due_date": {
          "description": "When it is due; null for never. RFC 3339; without an offset it is taken as UTC, and a date alone as its midnight in UTC.",
          "examples": [
            "2025-12-07T23:59:59Z"
          ],
          "type": [
            "string",
            "null"
          ],
          "format": "date-time"
        }
      },
      "required": [
        "task_id"
      ],
      "additionalProperties": false
    }
  },
  {
    "name": "deleteTask",
    "description": "Delete a task. Deletes one task for good. Takes no body.",
    "parameters": {
      "type": "object",
      "properties": {
        "task_id": {
          "description": "The task’s id.",
          "examples": [
            "019b0f3e-7c00-7000-8000-000000000001"
          ],
          "type": "string",
          "format": "uuid"
        }
      },
      "required": [
        "task_id"
      ],
      "additionalProperties": false
    }
  },
  {
    "name": "bulkUpdateTasks",
    "description": "Update several tasks. Changes up to 500 tasks in one call, all or none. One invalid item refuses the whole request; ids that no task has are skipped and listed in `not_found`.",
    "parameters": {
      "type": "object",
      "properties": {
        "tasks": {
          "minItems": 1,
          "maxItems": 500,
          "description": "The changes, 1 to 500. An id given twice is changed in the order given and listed once.",
          "type": "array",
          "items": {
            "additionalProperties": false,
            "description": "The id of a task and what to change of it, as in TaskUpdate.",
            "type": "object",
            "required": [
              "id"
            ],
            "properties": {
              "id": {
                "description": "The task to change.",
                "examples": [
                  "019b0f3e-7c00-7000-8000-000000000001"
                ],
                "type": "string",
                "format": "uuid"
              },
              "title": {
                "maxLength": 255,
                "description": "What to do, in 1 to 255 characters, not blanks only.",
                "examples": [
                  "Pod 개념 이해하기"
                ],
                "minLength": 1,
                "pattern": "\\S",
                "type": "string"
              },
              "description": {
                "maxLength": 1000,
                "description": "How to do it, in up to 1000 characters; null for none.",
                "examples": [
                  "kubectl run 명령어로 nginx Pod 생성"
                ],
                "type": [
                  "string",
                  "null"
                ]
              },
              "status": {
                "type": "string",
                "enum": [
                  "pending",
                  "in_progress",
                  "completed"
                ],
                "description": "How far the task is: `pending` (not begun), `in_progress`, or `completed`.",
                "examples": [
                  "pending"
                ]
              },
              "priority": {
                "description": "How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.",
                "examples": [
                  "high"
                ],
                "type": [
                  "string",
                  "null"
                ],
                "enum": [
                  "high",
                  "medium",
                  "low",
                  null
                ]
              },
              "due_date": {
                "description": "When it is due; null for never. RFC 3339; without an offset it is taken as UTC, and a date alone as its midnight in UTC.",
                "examples": [
                  "2025-12-07T23:59:59Z"
                ],
                "type": [
                  "string",
                  "null"
                ],
                "format": "date-time"
              }
            }
          }
        }
      },
      "required": [
        "tasks"
      ],
      "additionalProperties": false
    }
  },
  {
    "name": "bulkDeleteTasks",
    "description": "Delete several tasks. Deletes up to 500 tasks in one call, all or none, for example the completed ones. Ids that no task has are skipped and listed in `not_found`. The ids stand in a JSON body.",
    "parameters": {
      "type": "object",
      "properties": {
        "ids": {
          "minItems": 1,
          "maxItems": 500,
          "description": "The ids of the tasks to delete, 1 to 500. An id given twice counts once.",
          "type": "array",
          "items": {
            "description": "A task to delete.",
            "examples": [
              "019b0f3e-7c00-7000-8000-000000000001"
            ],
            "type": "string",
            "format": "uuid"
          }
        }
      },
      "required": [
        "ids"
      ],
      "additionalProperties": false
    }
  },
  {
    "name": "createBatch",
    "description": "Create a batch of tasks. Writes down a learning path: up to 500 tasks in the order to work through, in one call, whole or not at all.",
    "parameters": {
      "type": "object",
      "properties": {
        "session_id": {
          "description": "The session that the batch and its tasks belong to, or null.",
          "examples": [
            "550e8400-e29b-41d4-a716-446655440001"
          ],
          "type": [
            "string",
            "null"
          ],
          "format": "uuid"
        },
        "reason": {
          "maxLength": 10000,
          "description": "Why the batch was planned, in up to 10000 characters; null for none.",
          "examples": [
            "Kubernetes 기초 학습을 위한 단계별 과제입니다."
          ],
          "type": [
            "string",
            "null"
          ]
        },
        "tasks": {
          "minItems": 1,
          "maxItems": 500,
          "description": "The tasks in the order to work through, 1 to 500.",
          "type": "array",
          "items": {
            "additionalProperties": false,
            "description": "A new task. Only `title` is needed.",
            "examples": [
              {
                "title": "nginx Pod 생성하기",
                "description": "kubectl run 명령어로 nginx Pod 생성",
                "status": "pending",
                "priority": "high",
                "due_date": "2025-12-07T23:59:59Z",
                "session_id": "550e8400-e29b-41d4-a716-446655440001"
              }
            ],
            "type": "object",
            "required": [
              "title"
            ],
            "properties": {
              "title": {
                "maxLength": 255,
                "description": "What to do, in 1 to 255 characters, not blanks only.",
                "examples": [
                  "Pod 개념 이해하기"
                ],
                "minLength": 1,
                "pattern": "\\S",
                "type": "string"
              },
              "description": {
                "maxLength": 1000,
                "description": "How to do it, in up to 1000 characters; null for none.",
                "examples": [
                  "kubectl run 명령어로 nginx Pod 생성"
                ],
                "type": [
                  "string",
                  "null"
                ]
              },
              "status": {
                "type": "string",
                "enum": [
                  "pending",
                  "in_progress",
                  "completed"
                ],
                "description": "How far the task is: `pending` (not begun), `in_progress`, or `completed`.",
                "examples": [
                  "pending"
                ],
                "default": "pending"
              },
              "priority": {
                "description": "How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.",
                "examples": [
                  "high"
                ],
                "type": [
                  "string",
                  "null"
                ],
                "enum": [
                  "high",
                  "medium",
                  "low",
                  null
                ]
              },
              "due_date": {
                "description": "When it is due; null for never. RFC 3339; without an offset it is taken as UTC, and a date alone as its midnight in UTC.",
                "examples": [
                  "2025-12-07T23:59:59Z"
                ],
                "type": [
                  "string",
                  "null"
                ],
                "format": "date-time"
              },
              "session_id": {
                "description": "The agent’s session: a UUID that it makes once and sends with every call. The tasks of a batch have the session of their batch; there this field is accepted and has no effect.",
                "examples": [
                  "550e8400-e29b-41d4-a716-446655440001"
                ],
                "type": [
                  "string",
                  "null"
                ],
                "format": "uuid"
              }
            }
          }
        }
      },
      "required": [
        "tasks"
      ],
      "additionalProperties": false
    }
  },
  {
    "name": "listBatches",
    "description": "List batches. Answers batches with their tasks, newest first, a page at a time.",
    "parameters": {
      "type": "object",
      "properties": {
        "page": {
          "description": "Which page, from 1. A page past the end is empty and still reports the total.",
          "minimum": 1,
          "maximum": 2147483647,
          "default": 1,
          "type": "integer"
        },
        "limit": {
          "description": "Items a page, from 1 to 100.",
          "minimum": 1,
          "maximum": 100,
          "default": 10,
          "type": "integer"
        },
        "session_id": {
          "description": "Only batches of this session. A UUID.",
          "type": "string",
          "format": "uuid"
        }
      },
      "required": [],
      "additionalProperties": false
    }
  },
  {
    "name": "latestBatch",
    "description": "Get the latest batch. Answers the batch created last, with its tasks as they are now: where the learner stands. With `session_id`, the latest of that session. Where there is none yet the answer is the JSON value `null`, not an error.",
    "parameters": {
      "type": "object",
      "properties": {
        "session_id": {
          "description": "Only batches of this session. A UUID.",
          "type": "string",
          "format": "uuid"
        }
      },
      "required": [],
      "additionalProperties": false
    }
  },
  {
    "name": "getBatch",
    "description": "Get a batch. Answers one batch with its tasks as they are now, in the order they were given.",
    "parameters": {
      "type": "object",
      "properties": {
        "batch_id": {
          "description": "The batch’s id.",
          "examples": [
            "019b0f3e-7c00-7000-8000-0000000000b1"
          ],
          "type": "string",
          "format": "uuid"
        }
      },
      "required": [
        "batch_id"
      ],
      "additionalProperties": false
    }
  }
]

/** The input is a model's: the service checks it. */
type Call = (client: Operations, input: any, options?: CreateOptions & ChangeOptions) => Promise<unknown>

/** How each tool is called with its input. */
export const calls: Record<string, Call> = {
  getHealth: (client, _, options) => client.health.get(options),
  createTask: (client, body, options) => client.tasks.create(body, options),
  listTasks: (client, query, options) => client.tasks.list(query, options),
  getTask: (client, { task_id }, options) => client.tasks.get(task_id, options),
  updateTask: (client, { task_id, ...body }, options) => client.tasks.update(task_id, body, options),
  deleteTask: (client, { task_id }, options) => client.tasks.delete(task_id, options),
  bulkUpdateTasks: (client, { tasks }, options) => client.tasks.bulkUpdate(tasks, options),
  bulkDeleteTasks: (client, { ids }, options) => client.tasks.bulkDelete(ids, options),
  createBatch: (client, body, options) => client.batches.create(body, options),
  listBatches: (client, query, options) => client.batches.list(query, options),
  latestBatch: (client, query, options) => client.batches.latest(query, options),
  getBatch: (client, { batch_id }, options) => client.batches.get(batch_id, options),
}
