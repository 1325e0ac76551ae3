package checker

// allKinds are the kinds of check, by name.
func allKinds() []entry {
	return []entry{
		{"absent", func() kind { return &absentCheck{} },
			"No Kubernetes object is like this one.", "cluster", `absent:
  apiVersion: v1
  kind: Pod
  metadata: {labels: {app: old}}
`, "The fields are those of the kind object: an object that holds all of them is like it. What is being deleted is still there. The check does not pass because nothing can be there: the namespace must exist, and the cluster must know the kind."},
		{"access", func() kind { return &accessCheck{} },
			"Somebody may do some things in the cluster, and may not do others.", "cluster", `access:
  who: {serviceAccount: reader}
  allowed:
  - {verbs: [get, list], resource: pods}
  denied:
  - {verbs: [delete], resource: pods}
  - {verbs: [get], resource: secrets}
`, "The cluster itself is asked, by access reviews, so it does not matter which role and binding give a permission. A ServiceAccount that asks must exist, and so must each resource."},
		{"answer", func() kind { return &answerCheck{} },
			"The attendee's answer to a question is right.", "", `answer:
  question: Which signal does docker stop send first?
  choices: [SIGKILL, SIGTERM, SIGHUP]
  is: SIGTERM
`, "The answer is given in the page, or by `kindlab answer LAB/CHECK ANSWER`, which a solution may call too, and a near miss with `|| true`, since it ends with 1 when the answer is wrong. Say what is right by one of is, oneOf, matches and number. Case and spaces at the ends do not count, and of several spaces only one. A learner is never told the right answer."},
		{"cel", func() kind { return &celCheck{} },
			"An expression over Kubernetes objects is true.", "cluster", `cel:
  object: {apiVersion: v1, kind: Service, name: hello}
  true: object.spec.ports.all(p, p.port != p.targetPort)
  got: '"ports " + object.spec.ports.map(p, string(p.port)).join(", ")'
`, "The object is the variable object. The functions are those of validating policies in Kubernetes: quantity, url, ip, cidr, semver, format, find and the rest, and of CEL strings, lists, sets and math. A field that is not there makes the check fail, so ask has() where it may be missing."},
		{"chart", func() kind { return &chartCheck{} },
			"A Helm chart in the work folder renders what it should.", "", `chart:
  path: hello
  name: hello
  values: {replicas: 4}
  renders:
  - kind: Deployment
    spec: {replicas: 4}
`, "The path is one in the work folder. Each object of renders must be among those that the chart makes with the values, and is compared as the kind object does it."},
		{"container", func() kind { return &containerCheck{} },
			"A container of the Docker Engine runs as it should.", "docker", `container:
  name: web
  image: hello:v1
  ports: {8080: 8081}
  env: {COLOUR: teal}
`, "Fields that are not given are not looked at."},
		{"dns", func() kind { return &dnsCheck{} },
			"A name has the addresses of a Service.", "cluster", `dns:
  name: hello
  service: hello
`, "A pod in the cluster asks. The addresses are the cluster IP or, of a headless Service, those of its ready pods. A name of one word is meant in the lab's namespace."},
		{"http", func() kind { return &httpCheck{} },
			"Requests are answered as expected.", "", `http:
  url: http://hello/
  from: cluster
  times: 20
  expect:
  - that: at least two pods answer
    true: answers.map(a, a.json.pod).exists(p, p != json.pod)
`, "From the host requests go to a published port. From the cluster each is made on a connection of its own, through the cluster's DNS and Services. In expect, the variables are those of the last answer and answers, a list of all."},
		{"image", func() kind { return &imageCheck{} },
			"An image of the Docker Engine is configured as it should be.", "docker", `image:
  name: hello:v1
  entrypoint: [/hello]
  user: "1000"
`, "Fields that are not given are not looked at."},
		{"mesh", func() kind { return &meshCheck{} },
			"The mesh does with requests what is expected of it.", "mesh", `mesh:
  calls:
  - that: nine of ten answers come from v1
    from: {labels: {app: client}}
    url: http://web/api
    by: json.version
    shares: {v1: 90, v2: 10}
  - that: the gateway leads to it too
    url: http://@{gateway}/api
    headers: {Host: web.example}
`, "It is looked at on three levels. Said: what is wrong among the objects of the namespace. Sent: that the proxies of the namespace and the gateways have taken the newest configuration. Done: what becomes of requests. What is done decides, and the others say why it is not; without calls they decide themselves. Ask from a pod with a proxy for what its proxy does, from one without for what outsiders see, and through the gateway from the host. A call that expects to be kept out (unanswered, or a status from 400 on) needs another one to the same host that gets an answer."},
		{"object", func() kind { return &objectCheck{} },
			"A Kubernetes object holds at least these fields.", "cluster", `object:
  apiVersion: apps/v1
  kind: Deployment
  metadata: {name: hello}
  status: {readyReplicas: 3}
`, "A map matches when each of its keys does. A list of maps with a name (or port, containerPort, mountPath, type, ip, key, parentRef.name) matches entry by entry; any other list must be equal. Quantities are equal when they mean the same: 1000m and 1. Without metadata.name one object that matches is enough, and metadata.labels select. The namespace is the lab's unless metadata.namespace says another. An object that is being deleted does not match, nor the status of an older generation."},
		{"reach", func() kind { return &reachCheck{} },
			"Some reach a Service or a pod, and others do not.", "cluster", `reach:
  to: [{service: api, port: 80}]
  allowed: [{labels: {app: web}}]
  blocked: [{pod: client}]
`, "Each of allowed gets an answer from each destination, and each of blocked gets none. A destination counts as blocked only while one of allowed reaches it: a program that is down proves nothing."},
		{"refused", func() kind { return &refusedCheck{} },
			"The cluster refuses an object, or the eviction of a pod, for the stated reason.", "cluster", `refused:
  create:
    apiVersion: v1
    kind: Pod
    metadata: {name: greedy}
    spec: {containers: [{name: app, image: "hello:v1", resources: {requests: {memory: 64Gi}}}]}
  because: exceeded quota
  accepted:
    apiVersion: v1
    kind: Pod
    metadata: {name: modest}
    spec: {containers: [{name: app, image: "hello:v1", resources: {requests: {memory: 16Mi}}}]}
`, "It is tried by a server-side dry run, so nothing is made and nobody is evicted. An object without a name gets one. What is in accepted must be taken, so that a cluster which refuses everything does not pass. An eviction counts as refused only while as many pods are healthy as the budget wants to stay. Some reasons: exceeded quota, maximum memory usage, violates PodSecurity, ValidatingAdmissionPolicy, disruption budget."},
		{"release", func() kind { return &releaseCheck{} },
			"A Helm release is deployed as it should be.", "cluster", `release:
  name: hello
  chart: hello
  minRevision: 2
  ready: true
`, "The last revision must be deployed. Fields that are not given are not looked at."},
		{"rollout", func() kind { return &rolloutCheck{} },
			"While the pods of a Deployment were replaced, requests to it were answered.", "cluster", `rollout:
  deployment: api
  report: http://watcher/report
  answers: 50
  versions: [v1, v2]
`, "A request is lost when it gets no answer, or one from 500 on. Use it with `holds: once`. There are three ways to know. With report a program asks all the time and counts, and this check reads its report: that is judged when the Deployment is complete and its old pods are gone, and the program must count anew before the update. With url requests are sent all the time while the page is open or the check is watched, and the last update that began and ended in that time is judged; by makes a version of an answer, such as json.version. With url and replaces the check evicts as many pods itself while it sends requests, through the eviction API, so that a PodDisruptionBudget may refuse it; one look takes 30 s and up to 90 s a pod. What was seen counts until the Deployment or the Service of the url is changed, or a budget that kept a pod: no pod is evicted twice for the same. Let such a check need those that must pass before anything is evicted. Nothing that was written is changed."},
		{"run", func() kind { return &runCheck{} },
			"A script in the work folder ends with 0.", "", `run:
  script: |
    grep -q '^FROM scratch' Dockerfile || { echo "the Dockerfile has no stage FROM scratch"; exit 1; }
  timeout: 5s
`, "The way out where no other kind fits. A script of more than a few lines stands better in a file of the lab's folder: `file: check/stages.sh`. It may hold values, such as @{ns}. The script runs by sh in the lab's work folder with the environment of the lab's shell, and with all it started it is ended at the timeout. Any end but 0 and 1 makes the check unknown: nothing is said about the learner. It must leave no trace."},
		{"traffic", func() kind { return &trafficCheck{} },
			"Answers are shared out as wanted.", "cluster", `traffic:
  url: http://web/
  from: cluster
  by: json.version
  shares: {v1: 90, v2: 10}
`, "Requests are sent one after the other until it is known: shares that are right are refused, and others accepted, with a probability of at most 1 %."},
	}
}
