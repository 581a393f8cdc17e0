{{/*
What Helm runs at some moments, with an account and rights of its own that go with it: a job, or the pod of a test.
Give (dict "root" $ "component" "keys" "hook" "pre-install,pre-upgrade" "rules" list "args" list).
*/}}
{{- define "ntp.hook" -}}
helm.sh/hook: {{ .hook }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "ntp.account" -}}
{{- $name := include "ntp.name" . -}}
{{- $account := merge (dict "weight" "-10") . -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" $account | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" $account | nindent 4 }}
rules:
{{- range .rules }}
  - {{ toJson . }}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" $account | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .root.Release.Namespace }}}
{{- end -}}

{{- define "ntp.hookPod" -}}
serviceAccountName: {{ include "ntp.name" . }}
automountServiceAccountToken: true
enableServiceLinks: false
securityContext: {{- include "ntp.podSecurity" .root | nindent 2 }}
{{- include "ntp.placing" (merge (dict "of" .root.Values.controller) .) | trim | nindent 0 }}
containers:
  - name: job
    image: {{ include "ntp.image" (dict "root" .root "image" "ntp-controller") }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args: {{ toJson .args }}
    env:
      - {name: NTP_STATE, value: /tmp/state}
      - {name: NTP_CACHE, value: /tmp/cache}
    resources: {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
    securityContext: {{- include "ntp.containerSecurity" .root | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
{{- end -}}

{{- define "ntp.job" -}}
{{ include "ntp.account" . }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "ntp.name" . }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" (merge (dict "weight" "0") .) | nindent 4 }}
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 300
  # Where no Helm takes it away, another one of its name can come later.
  ttlSecondsAfterFinished: 600
  template:
    metadata:
      labels: {{- include "ntp.podLabels" . | nindent 8 }}
    spec:
      restartPolicy: OnFailure
      {{- include "ntp.hookPod" . | nindent 6 }}
{{- end -}}

{{/* As a pod, for `helm test --logs` knows no other. It stays when it failed, and has the reason in its log. */}}
{{- define "ntp.test" -}}
{{ include "ntp.account" . }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "ntp.name" . }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" (merge (dict "weight" "0") .) | nindent 4 }}
spec:
  restartPolicy: Never
  activeDeadlineSeconds: 300
  {{- include "ntp.hookPod" . | nindent 2 }}
{{- end -}}
