// Evaluates simulations of IAM, one JSON array of them on standard input, and writes an answer for each.
// The argument is the folder in which the evaluator is installed.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { runSimulation } = createRequire(join(process.argv[2], 'package.json'))('@cloud-copilot/iam-simulate')

const answers = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  const answer = await runSimulation(simulation, {})
  if (answer.resultType !== 'single') {
    answers.push({ error: answer.errors ?? 'a resource with a wildcard' })
    continue
  }
  const { analysis, ignoredContextKeys } = answer.result
  answers.push({
    result: answer.overallResult,
    same: analysis.sameAccount,
    identity: analysis.identityAnalysis?.result,
    resource: analysis.resourceAnalysis?.result,
    guard: analysis.scpAnalysis?.result,
    endpoint: analysis.endpointAnalysis?.result,
    ignored: ignoredContextKeys ?? []
  })
}
process.stdout.write(JSON.stringify(answers))
