/**
 * The words providers use, by what they mean. Codes are canonical (lower case, no punctuation); patterns run over text
 * without addresses. Wordings come from recorded replies and from the error tables of openai, LiteLLM, LangChain and pi.
 */

const codes = (list: string): ReadonlySet<string> => new Set(list.split(/\s+/).filter((code) => code !== ""))

/** The model wrote something the provider itself could not use. */
export const badCallCodes = codes(
  `toolusefailed jsonvalidatefailed outputparsefailed invalidtoolcall finishmalformedfunctioncall
   finishunexpectedtoolcall finishtoomanytoolcalls toolcallparseerror`
)
export const badCall =
  /failed to parse (?:the )?(?:input|generation|output|response|messages?) at pos|failed to parse[^.\n]{0,40}<\|?tool_?call|failed to call a function|tool call validation failed|(?:failed to|could not|cannot|error) pars(?:e|ing) tool[ _-]?call|failed to generate json|malformed function call|tool choice is \w{1,24},? but model (?:did not call|called) a tool|attempted to call tool .{0,200}? which was not in/i

export const filterCodes = codes(
  `contentfilter contentpolicyviolation responsibleaipolicyviolation contentpolicyviolationerror moderation
   moderationblocked datainspectionfailed datainspectionfailederror contentfiltered contentfiltererror blockreason
   invalidprompt promptblocked finishcontentfilter finishsafety finishrecitation finishblocklist
   finishprohibitedcontent finishspii finishimagesafety finishimageprohibitedcontent finishrefusal sensitivewordsdetected
   safetycheckfailed inputtextsensitivecontentdetected outputtextsensitivecontentdetected
   inputimagesensitivecontentdetected guardrailintervened hooksfailed prohibitedcontent contentsafety cyberpolicyviolation cyberpolicy biopolicy`
)
export const filter =
  /content (?:management|filtering|safety|moderation) polic|content[ _]policy violation|violat\w{1,24} (?:of )?(?:our |the |openai'?s? |xai'?s? )?(?:usage|content|safety|acceptable use)\b|flagged (?:as|for|by)|was flagged|blocked by (?:our |the )?(?:content|safety|moderation)|safety system|requires moderation|content exists risk|(?:content|response|output|prompt|input) (?:was |has been |is )?(?:blocked|filtered) (?:by|due|because)|guardrails?\b[^.\n]{0,60}?\b(?:failed|blocked|denied|violated|intervened)|(?:violated|blocked by) (?:\w{1,24} )?guardrail|inappropriate content|content violates|sensitive (?:content|words|information)|不安全或敏感|data_inspection_failed/i
/** The same in the words of MiniMax, Google's block reasons, and in Chinese. */
export const filterElsewhere =
  /new_sensitive|\bis sensitive\b|sensitive,? please (?:check|modify)|blocked_?reason|blocked: (?:prompt|response|content)|(?:prompt|content|response|request) (?:was |is |has been )?blocked\b|prohibited[_ ]?content|considered (?:as )?high[ -]risk|敏感|违规|违禁|违法|涉黄|涉政|不合规|安全审核|审核(?:不|未)通过|内容安全|内容审查/i
export const filteredCompletion =
  /output (?:was |data )?(?:blocked|may contain)|(?:response|completion|output) (?:was |has been )?(?:blocked|filtered) (?:by|because)|generated (?:content|text|output)|output blocked/i
/** Azure calls it "the response was filtered due to the prompt", so the prompt outranks the completion. */
export const filteredPrompt = /due to the prompt|your (?:prompt|input|request)|the prompt|input (?:data|text)/i
export const completionCodes =
  /^finish(?:contentfilter|safety|recitation|blocklist|prohibitedcontent|spii|image|refusal)/

export const keyCodes = codes(
  `invalidapikey apikeyinvalid authenticationerror unauthenticated invalidauthenticationerror invalidauthentication
   incorrectapikeyerror incorrectapikey unauthorized unauthorizederror invalidtoken expiredtoken tokenexpired
   unrecognizedclientexception invalidsignatureexception missingapikey noapikey authenticationfailed
   accesstokenexpired invalidissuer apikeyexpired apikeyserviceblocked invalidcredentials proxyautherror
   expiredtokenexception invalidaccesstoken autherror`
)
export const key =
  /(?:incorrect|invalid|wrong|missing|expired|revoked|bad|unknown) (?:x-)?(?:api[ _-]?)(?:key|token)|(?:api[ _-]?key|access token|auth(?:entication|orization)? token|bearer token|subscription key)s? (?:you provided |provided )?(?:is |was |has )?(?:not (?:valid|found|provided|set)|invalid|missing|expired|been (?:revoked|disabled|deleted)|required|incorrect)|invalid (?:format (?:for|of) )?(?:authentication|authorization|credentials|token|bearer|subscription key|username or password)|no auth(?:entication)? credentials|no api[ _-]?key|didn'?t provide an api key|missing (?:authentication|authorization|bearer)|authentication (?:failed|fails|error|required|is required|parameter)|could not resolve authentication|\bunauthori[sz]ed\b|user not found\.?$|not authenticated|please (?:provide|pass) a valid api key|令牌|身份验证|认证失败|鉴权|api ?key[^。\n]{0,8}(?:无效|错误|不存在|过期)|密钥/i

/** Out of money or of an allowance that waiting seconds does not refill. */
export const quotaCodes = codes(
  `insufficientquota insufficientbalance insufficientcredits insufficientcredit insufficientfunds billinghardlimitreached
   billingsoftlimitreached billingnotactive billingerror billinginsufficientbalance creditbalanceexhausted
   creditbalancetoolow paymentrequired arrearage exceededcurrentquotaerror budgetexceeded budgetexceedederror
   exceededbudget usagelimitreached usagelimitexceeded usagenotincluded spendinglimitexceeded spendinglimitreached
   creditsexhausted outofcredits insufficientuserquota preconsumetokenquotafailed prepaidbillexpired quotaexhausted
   servicequotaexceededexception accountoverdueerror accountarrears freequotaexhausted allocationquotafreetieronly
   quotanotenough insufficientquotaerror keylimitexceeded monthlylimitreached freeusagelimiterror creditserror
   setlimitexceeded tokenquotareached instancequotareached`
)
export const quota =
  /insufficient[ _](?:account )?(?:balance|credits?|quota|funds)|(?:not enough|no|out of|run out of|used up all|all available|doesn'?t have any|never purchased) (?:\w{1,24} )?(?:credits?|balance|funds)\b|credits? (?:balance|limit) (?:is |has )?(?:too low|exhausted|exceeded|reached|been)|credit balance|balance (?:is )?(?:insufficient|not enough|too low)|(?:requires?|need) more credits|(?:can only|cannot|can't) afford|(?:monthly|weekly|total|hard) (?:\w{1,24} )?(?:spend(?:ing)?|usage|billing|cost|included)(?: limit| credits)?|spend(?:ing)?[ _-]limit|billing (?:hard |soft )?limit|billing is not active|account is not active|check your billing|budget (?:has been )?exceeded|(?:exceeded|over|crossed) (?:your |the |its )?(?:\w{1,24} )?budget|exceededbudget|key limit exceeded|payment required|(?:specified )?(?:api )?usage limits?\b.{0,40}(?:reached|exceeded|hit)|(?:reached|exceeded|hit) (?:your |the )(?:\w{1,24} ){0,3}usage limits?|usage (?:limit )?(?:has been )?(?:exceeded|reached)|extra usage is required|suspended due to|account (?:\S+ ){0,3}(?:is |has been )suspended|(?:overdue|arrears|recharge)|out of (?:call )?(?:volume |bandwidth )?quota|quota will be replenished|reached (?:its|your|the) (?:\w{1,24} )?quota|quota (?:is )?(?:not enough|insufficient|exhausted)|api calls ?\/ ?month|余额不足|欠费|额度|配额/i
/** The same of accounts that are not paid, and in Chinese. */
export const unpaid =
  /past[ -]due|\bunpaid\b|update your payment|payment (?:method )?(?:is |has |was )?(?:failed|declined|required|missing|overdue)|subscription (?:\w{1,24} ){0,3}(?:expired|ended|lapsed|cancell?ed|inactive)|no active (?:subscription|plan)|(?:add|purchase|buy) (?:more )?(?:credits|funds)|top[ -]?up your|billing (?:account )?(?:is |has been )?(?:disabled|closed|not enabled|inactive)|requires billing to be enabled|充值|余额|欠费|套餐[^。\n]{0,12}(?:过期|到期|用完|用尽)/i
/** Allowances of some hours, a week or a plan, that are used up. */
export const allowance =
  /\b\d{1,2}[ -]?h(?:ou)?rs?(?:ly)?[ -](?:usage )?(?:limit|window|quota|allowance)|(?:usage|session|hourly|weekly|plan) limit (?:is |has been |was )?(?:reached|exceeded|hit)|(?:reached|exceeded|hit|used up) (?:your |the )?(?:[\w-]+ ){0,3}(?:usage|session|hourly|weekly|plan) (?:limit|quota|allowance)|used up your [^.\n]{0,40}(?:allocation|allowance)|(?:使用|用量|额度|套餐)[^。\n]{0,12}(?:上限|用完|用尽|耗尽|不足)|限额|已用完|已用尽|配额/i
/** More at a time than is allowed, which passes in seconds. */
export const concurrency =
  /(?:limit|max\w{0,24}|exceed\w{0,24}|too many|reached)\b[^.\n]{0,60}\b(?:concurren\w{1,24}|simultaneous\w{0,24}|parallel requests?)|(?:concurren\w{1,24}|simultaneous\w{0,24}|parallel requests?)\b[^.\n]{0,60}\b(?:limit\w{0,24}|exceed\w{0,24}|max\w{0,24}|reached|too many|too high)|并发[^。\n]{0,20}(?:限制|上限|超|过高|过多|过大|最大)|(?:超|达到)[^。\n]{0,20}并发/i
/** OpenAI says it of money; Gemini says it of a minute, so there it needs a second witness. */
export const currentQuota = /exceeded (?:your|the) current (?:quota|api quota)/i
/** A plain rate, however much the rest speaks of credit: "Your rate limit is 60 queries per minute … settings/billing". */
export const perMinute =
  /per[ _-]?(?:minute|min|second|sec)\b|\/ ?(?:min(?:ute)?|sec(?:ond)?)\b|\b[rtq]pm\b|\b[rtq]ps\b|perminute|persecond|每分钟|每秒|速率|频率/i
/** Both together are said of a moment's crowd, not of an allowance. */
export const crowd = /\btoo many requests\b/i
export const later = /\btry again later\b/i
export const perDay =
  /per[ _-]?day\b|\/ ?day\b|\b(?:daily|[rt]pd|asd)\b|PerDay|per 86400 ?s|per 24 ?h|ByDay\b|free-models-per-day|free_tier_daily|24[- ]?hours?\b.{0,30}limit|每日|每天|今日|当日|单日/i
/** Allowances still longer than a day. */
export const perMonth =
  /per[ _-]?(?:month|week)\b|\/ ?(?:month|week)\b|\b(?:monthly|weekly) (?:(?:rate )?limit|quota|usage|allowance)|PerMonth/i
export const noAllowance = /\blimit: ?0(?![\d.,]*\d)/i

export const contextCodes = codes(
  `contextlengthexceeded exceedcontextsizeerror contextwindowexceeded contextwindowexceedederror
   contextlengthexceedederror contextoverflow modelcontextwindowexceeded maxcontextlengthexceeded
   finishmodelcontextwindowexceeded contextwindowlimitexceeded modelmaxprompttokensexceeded promptoolong prompttoolong
   inputtoolong inputtokensexceeded contextlengtherror`
)
export const context =
  /(?:maximum|max|model'?s?|model(?:'s)? maximum|available|total) (?:allowed )?context(?: |_)?(?:length|window|size|limit)|context(?: |_)?(?:length|window|size|limit) (?:is |was |has been )?(?:exceeded|of|only|exceeds?)|(?:exceeds?|exceeding|exceeded|exceed|larger than|longer than|greater than|beyond|surpass(?:es)?) (?:the |this |its |a |that )?(?:\w{1,24}(?:'s)? ){0,3}context(?: |_)?(?:length|window|size|limit)?|(?:prompt|input|messages?|conversation|request|text) (?:\w{1,24} )?(?:is|are) too (?:long|large) ?(?:for|:|\.|,|$|\()|prompt is too long|input is too long|input is too large to process|(?:prompt|input)\b[^\n]{0,20}?(?:length|tokens?)\b[^\n]{0,40}?(?:exceed|longer than|greater than|larger than)|(?:prompt|input|messages?|request)\b[^\n]{0,40}?(?:exceeds?|longer than|greater than)\b[^\n]{0,60}?\b(?:tokens|context|input length)|maximum prompt length|max(?:imum)? (?:input|sequence|prompt|model|number of) ?(?:tokens?|length|len|size|input tokens)(?: allowed)?\b.{0,60}?(?:\bis\b|exceed|but|\d)|reduce the length of (?:the |your )?(?:messages|input|prompt)|too many (?:input |prompt )?tokens|(?:exceeded|exceeds) (?:the )?model token limit|token limit exceeded|exceed(?:s|ed)? n_ctx|n_ctx(?:_per_seq)?\b|range of input length should be|`?inputs?`? (?:tokens )?(?:\+ `?max_new_tokens`? )?must (?:have|be) (?:less|<=|at most)|must be at least [01], got -\d|max_seq_len|exceeded max(?:imum)? (?:context|token)|(?:input )?tokens exceed|shorten your prompt/i

/** The same in Chinese, and in the words of Vertex. */
export const contextElsewhere =
  /超长|上下文[^。\n]{0,16}(?:超|过长|限制|不足)|超(?:出|过)[^。\n]{0,20}(?:上下文|最大长度|长度限制|token)|(?:输入|提示词|请求|消息|内容|文本|prompt)[^。\n]{0,12}(?:过长|太长)|token[^。\n]{0,12}(?:超出|超过|超限|过长)|input token count (?:is )?[\d,]+ but|(?:prompt|input)[^.\n]{0,60}only supports up to [\d,]+/i

export const tooLargeCodes = codes(
  `requesttoolarge payloadtoolarge requestentitytoolarge tokenslimitreached contenttoolarge requestbodytoolarge
   requesttoolargeerror`
)
export const tooLarge =
  /request (?:body |entity |payload |size )?(?:is )?too large|payload (?:is )?too large|content too large|(?:request|body|payload)(?: payload)? (?:size )?exceeds (?:the )?(?:max|limit|size|configured)|must be reduced in order to run|length limit exceeded|entity too large|body (?:is )?too (?:large|big)|please reduce your message size/i

export const rateCodes = codes(
  `ratelimitexceeded ratelimiterror ratelimited ratelimit toomanyrequests toomanyrequestserror resourceexhausted
   throttlingexception throttling throttlingerror throttlingratequota throttlingallocationquota
   ratelimitreachederror ratelimitreached ratelimitexceedederror requestlimitexceeded toomanyrequestsexception
   limitrequests limitburstrate quotaexceeded tokenquotaexceeded requestquotaexceeded concurrencylimitexceeded
   slowdown providerratelimit limitexceeded providedthroughputexceeded apilimitreached`
)
export const rate =
  /rate[- ]?limit|too many (?:concurrent |api )?(?:requests|connections|tokens)|resource (?:has been )?exhausted|throttl(?:ed|ing)|request limit|concurrency limit|quota exceeded for|requests? too frequent|速率|频率|请求过于频繁/i

export const busyCodes = codes(
  `overloadederror overloaded serverisoverloaded serveroverloaded engineoverloadederror engineoverloaded
   serviceunavailable serviceunavailableerror unavailable unavailableerror modelcapacityexhausted nocapacity
   modeloverloaded modelnotreadyexception serviceunavailableexception queueexceeded capacityexceeded
   servicetiercapacityexceeded insufficientsystemresource finishinsufficientsystemresource modelloading
   resourceunavailable slowdown toobusy serverbusy systembusy modelatcapacity`
)
export const busy =
  /overloaded|访问量过大|服务过载|拥挤|capacity (?:\w{1,24} )?exceeded|over ?capacity|at (?:full |max(?:imum)? )?capacity|(?:no|insufficient|not enough|lack of) (?:available )?capacity|capacity (?:exceeded|available)|high (?:demand|traffic|load|volume)|peak load|server (?:is )?(?:too )?busy|system (?:is )?busy|maximum pending requests|loading model|(?:model|it) is (?:currently |still )?(?:loading|starting|warming)|queue (?:is )?(?:full|exceeded)|temporarily (?:unavailable|overloaded)|service (?:is )?(?:temporarily )?unavailable|no (?:healthy|available) (?:upstream|deployments?|server)|负载|繁忙/i

export const modelCodes = codes(
  `modelnotfound modelnotfounderror deploymentnotfound modelnotexist invalidmodel modeldecommissioned modeldeprecated
   modelnotavailable unknownmodel nosuchmodel invalidmodelid modelnotexisterror modelnotsupported unknownmodelerror`
)
export const model =
  /(?:model|deployment|engine|checkpoint)s?\b[^.\n]{0,160}?\b(?:not (?:found|exist|available|be found|currently available|a valid|recognized)|(?:does|do|did)(?: not|n'?t) exist|isn'?t (?:available|found)|not exist|could ?n[o']t be found|cannot be found|(?:has|have) been (?:decommissioned|deprecated|retired|removed|shut ?down)|is (?:deprecated|retired|no longer (?:available|supported))|unavailable for|unknown)|not a valid model|model (?:identifier|id|name)\b[^.\n]{0,60} is (?:invalid|not valid)|(?:invalid|unknown|no such|unsupported|unrecognized|wrong) model(?! ?output|'s)|try pulling it first|no endpoints found (?:for|matching)|no available channel|unable to access (?:non-serverless )?model|model not exist|模型不存在|no model (?:named|with|loaded)|^model: /im

export const missingModel =
  /\b(?:model|deployment)s?\b(?:[^.\n]|\.(?=\S)){0,80}? (?:is |was )?(?:not found|does ?n[o']t exist|do not exist)/i

export const featureCodes = codes(
  `unsupportedvalue unsupportedparameter unimplemented notsupportederror operationnotsupported unsupportedfeature
   notimplemented notimplementederror unsupportedparamserror unsupportedoperation featurenotsupported
   unsupportedmodality`
)
export const feature =
  /(?:does|do|did|is|are)(?: not|n'?t) (?:currently |yet )?(?:support(?:ed|s|ing)?|implemented|enabled)|not supported|only supported (?:by|in|for|with)|unsupported (?:param|parameter|value|feature|content|modalit|tool|message|role|response_format|operation)|requires? (?:the )?`?--[a-z]|no endpoints found that (?:can handle|support)|not implemented|not a multimodal model|only supports? (?:text|single)|cannot (?:use|process|handle) (?:tools|images?)|support(?:s)? (?:for )?(?:tools|images?|vision) is not|mmproj|auto"? tool choice requires|\b(?:response_format|json_schema|json_object|tool_choice|tools?|functions?|logprobs|vision|images?|audio|stream\w{0,24}|thinking|reasoning)\b(?: \w{1,24}){0,3} (?:is|are) (?:currently |temporarily )?(?:unavailable|not available|disabled)|不支持/i
/** What is not supported there is the form of a value, not a feature. */
export const badFormat =
  /unsupported (?:image|media|file|mime|audio|video|country|region)|(?:image|media|file|mime) (?:format|type)/i

export const deniedCodes = codes(
  `permissionerror permissiondenied permissiondeniederror forbidden unsupportedcountryregionterritory accessdenied
   accessdeniedexception accessdeniederror modelaccessdenied ipnotauthorized accountdeactivated accountdisabled
   organizationdisabled accessterminated accessterminatederror forbiddenerror organizationverificationrequired
   organizationrestricted mustbeverified notallowed keymodelaccessdenied teammodelaccessdenied
   usermodelaccessdenied orgmodelaccessdenied projectmodelaccessdenied`
)
export const denied =
  /(?:country|region|territory|location)[^.\n]{0,60}?not (?:supported|available|allowed)|not (?:supported|available|allowed) in your (?:country|region|location)|permission[- ]denied|do(?:es)?(?: not|n'?t) have (?:permission|access|sufficient permission|the required)|not (?:authorized|allowed|permitted) (?:to|for)|request not allowed|access (?:is |was )?(?:denied|forbidden|restricted|terminated)|organization (?:has been |is |must be )(?:disabled|restricted|verified)|\bforbidden\b|insufficient permissions?|unregistered callers|you have been blocked|unable to access|attention required|terms of service|banned|has been (?:disabled|suspended|deactivated)|without (?:an )?access/i

export const brokenCodes = codes(
  `servererror internalservererror internalerror internal apierror timeouterror timeout gatewaytimeout badgateway
   deadlineexceeded internalfailure modelerrorexception modeltimeoutexception modelstreamerrorexception
   processingerror apiconnectionerror upstreamerror provideroverloaded requesttimeout connectionerror unknownerror
   newapierror badresponse badresponsestatuscode aborted cancelled internalservererrorexception servicetimeout
   modelerror gatewayerror finisherror`
)
export const broken =
  /error was encountered|unexpected eof|runner|out of memory|cuda error|internal (?:server )?error|server (?:had an )?error|upstream|bad gateway|gateway time|timed? ?out|connection|disconnected|provider returned error|went wrong|unexpected error|try again/i

export const requestCodes = codes(
  `invalidrequesterror invalidrequest badrequest badrequesterror invalidargument validationerror validationexception
   failedprecondition outofrange invalidparameter invalidparametererror invalidparametervalue unprocessableentity
   unprocessableentityerror missingrequiredparameter invalidvalue invalidtype previousresponsenotfound
   invalidfunctionparameters invalidjson invalidparams decimalbelowminvalue integerabovemaxvalue invalidimageurl`
)

/** What is about money, among the words for a used-up allowance. */
export const money = /credit|balance|billing|spend|payment|budget|funds|recharge|arrears|overdue|余额|欠费/i

/** OpenAI's length check of a single text; small ones are names and ids, not prompts. */
export const longString = /string too long\.? expected a string with maximum length (\d+)/i

/**
 * What a machine-readable word means by what it is made of. Vendors coin codes faster than a list can follow
 * (`INSUFFICIENT_G1_CREDITS_BALANCE`, `InputImageSensitiveContentDetected`), but they coin them from the same few words.
 * Patterns run over canonical codes: lower case, no punctuation, one blank between two codes.
 */
export const codePatterns = {
  /** Out of money, or an account that is not paid. */
  money:
    /insufficient\w{0,24}(?:credit|balance|fund)|(?:credit|balance|fund)s?(?:balance)?\w{0,12}(?:exhausted|insufficient|toolow|depleted|notenough|empty)|pastdue|overdue|arrear|unpaid|billing\w{0,12}(?:disabled|inactive|notactive|notenabled|required)|paymentrequired|subscription\w{0,12}(?:expired|inactive|required|ended|cancell?ed)|budget\w{0,12}exceeded|spend\w{0,12}(?:limit|cap)/,
  /** More at a time than is allowed. */
  concurrency: /concurren\w{0,24}(?:limit|exceed|toomany|reached|max)|(?:toomany|exceed\w{0,12}|max\w{0,12})concurren/,
  /** An allowance of a day. */
  daily: /(?:daily|perday)\w{0,16}(?:limit|quota|allowance|exceed|allocation)|(?:limit|quota)\w{0,16}(?:daily|perday)/,
  /** The prompt is longer than the model can take. */
  context:
    /context(?:length|window|size|limit)\w{0,16}(?:exceed|toolong|overflow|reached)|exceed\w{0,16}context|(?:prompt|inputs?|messages?)(?:is|are)?toolong|inputtokens?\w{0,12}exceed/,
  /** A filter withheld something. */
  filter:
    /sensitive(?:content|words?|text|image|video)|contentfilter|contentpolicy|contentmoderation|prohibitedcontent|blocked(?:by)?safety|safety(?:block|violation|filter)|guardrail\w{0,12}(?:intervened|blocked|violat)|promptblocked/
} as const
