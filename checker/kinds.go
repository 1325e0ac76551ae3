package checker

// allKinds are the kinds of check, by name.
func allKinds() []entry {
	return []entry{
		{"absent", func() kind { return &absentCheck{} },
			"No Kubernetes object is like this one.", "cluster", `absent:
  apiVersion: v1
  kind: Pod
  metadata: {labels: {app: old}}
`},
		{"access", func() kind { return &accessCheck{} },
			"Somebody may do some things in the cluster, and may not do others.", "cluster", `access:
  who: {serviceAccount: reader}
  allowed:
  - {verbs: [get, list], resource: pods}
  denied:
  - {verbs: [delete], resource: pods}
  - {verbs: [get], resource: secrets}
`},
		{"answer", func() kind { return &answerCheck{} },
			"The attendee's answer to a question is right.", "", `answer:
  question: Which signal does docker stop send first?
  choices: [SIGKILL, SIGTERM, SIGHUP]
  is: SIGTERM
`},
		{"cel", func() kind { return &celCheck{} },
			"An expression over Kubernetes objects is true.", "cluster", `cel:
  object: {apiVersion: v1, kind: Service, name: hello}
  true: object.spec.ports.all(p, p.port != p.targetPort)
  got: '"ports " + object.spec.ports.map(p, string(p.port)).join(", ")'
`},
		{"chart", func() kind { return &chartCheck{} },
			"A Helm chart in the work folder renders what it should.", "", `chart:
  path: hello
  name: hello
  values: {replicas: 4}
  renders:
  - kind: Deployment
    spec: {replicas: 4}
`},
		{"container", func() kind { return &containerCheck{} },
			"A container of the Docker Engine runs as it should.", "docker", `container:
  name: web
  image: hello:v1
  ports: {8080: 8081}
  env: {COLOUR: teal}
`},
		{"dns", func() kind { return &dnsCheck{} },
			"A name has the addresses of a Service.", "cluster", `dns:
  name: hello
  service: hello
`},
		{"http", func() kind { return &httpCheck{} },
			"Requests are answered as expected.", "", `http:
  url: http://hello/
  from: cluster
  times: 20
  expect:
  - that: at least two pods answer
    true: answers.map(a, a.json.pod).exists(p, p != json.pod)
`},
		{"image", func() kind { return &imageCheck{} },
			"An image of the Docker Engine is configured as it should be.", "docker", `image:
  name: hello:v1
  entrypoint: [/hello]
  user: "1000"
`},
		{"object", func() kind { return &objectCheck{} },
			"A Kubernetes object holds at least these fields.", "cluster", `object:
  apiVersion: apps/v1
  kind: Deployment
  metadata: {name: hello}
  status: {readyReplicas: 3}
`},
		{"reach", func() kind { return &reachCheck{} },
			"Some reach a Service or a pod, and others do not.", "cluster", `reach:
  to: [{service: api, port: 80}]
  allowed: [{labels: {app: web}}]
  blocked: [{pod: client}]
`},
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
`},
		{"release", func() kind { return &releaseCheck{} },
			"A Helm release is deployed as it should be.", "cluster", `release:
  name: hello
  chart: hello
  minRevision: 2
  ready: true
`},
		{"rollout", func() kind { return &rolloutCheck{} },
			"While a Deployment was updated, requests to it were answered.", "cluster", `rollout:
  deployment: api
  url: http://api/
  by: json.version
  versions: [v1, v2]
`},
		{"run", func() kind { return &runCheck{} },
			"A script in the work folder ends with 0.", "", `run:
  script: |
    grep -q '^FROM scratch' Dockerfile || { echo "the Dockerfile has no stage FROM scratch"; exit 1; }
  timeout: 5s
`},
		{"traffic", func() kind { return &trafficCheck{} },
			"Answers are shared out as wanted.", "cluster", `traffic:
  url: http://web/
  from: cluster
  by: json.version
  shares: {v1: 90, v2: 10}
`},
	}
}
